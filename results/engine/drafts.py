"""Files that are written whole or not at all: a draft beside the file, which takes its place when it is complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def drafted(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """The file beside the path that the body writes. It then takes the path's name; if the body fails, it is removed.

    `durable`: the content is on the disk before the name is, and outlives a power cut. The folder is made where there
    is none. Whatever the system refuses is an OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)  # of a killed process that had the same number
    try:
        yield draft
        if durable:
            _write_through(draft)
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    if durable:
        with suppress(OSError):  # not every system can
            _write_through(path.parent)


def _write_through(path: Path) -> None:
    """Have what the system holds of a file or a folder written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
