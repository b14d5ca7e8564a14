"""The files that reports are written to: of a known kind, and whole or not at all."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from reports.views.wanted import ReportError
from results.engine.drafts import drafted
from results.names import did_you_mean


def suffix_of(path: Path, known: Collection[str]) -> str:
    """The file's suffix, which says its kind, in small letters; a ReportError if it is not one of the known ones."""
    suffix = path.suffix.lower()
    if suffix not in known:
        named = f"has the suffix {path.suffix!r}" if suffix else "has no suffix"
        every = ", ".join(f"*{each}" for each in known)
        raise ReportError(f"{path} {named}: name the file {every}.{did_you_mean(suffix, known)}")
    return suffix


@contextmanager
def written(path: Path, remedy: str) -> Iterator[Path]:
    """A draft, which the body writes and which then replaces the file; a ReportError if the system refuses it."""
    try:
        with drafted(path) as draft:
            yield draft
    except OSError as error:
        raise ReportError(f"{path} cannot be written ({error.strerror or error}): {remedy}") from error
