"""Files that are written whole or not at all: a draft beside the file, which replaces it when it is complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def drafted(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A draft beside the path, which the body writes. It is then renamed to the path; if the body fails, it is removed.

    `durable`: the content is on the disk before the draft is renamed, and survives a power cut. A missing folder is
    made. An OSError if the system refuses anything.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)  # left by a killed process that had the same process id
    try:
        yield draft
        if durable:
            _write_through(draft)
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    if durable:
        with suppress(OSError):  # not every system can sync a folder
            _write_through(path.parent)


def _write_through(path: Path) -> None:
    """Have the system write its buffers of a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
