"""Standard output and error that never raise: not if the reader is gone, the disk is full, or the terminal is ASCII."""

import codecs
import errno
import io
import os
import select
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET)  # the reader has seen enough, or its terminal was closed
_PLAIN = {
    "×": "x", "–": "-", "−": "-", "—": "-", "±": "+-", "µ": "u", "∞": "inf", "≤": "<=", "≥": ">=", "·": "*", "→": "->",
}  # fmt: skip


class Output(io.FileIO):
    """A file descriptor; after the first write that fails, what is written is dropped and the failure kept."""

    failure: OSError | None = None

    def write(self, written: "ReadableBuffer", /) -> int:
        """The number of bytes that were taken."""
        while self.failure is None:
            try:
                count: int | None = super().write(written)
            except OSError as error:
                self.failure = error
            else:
                if count is not None:
                    return count
                select.select([], [self], [])  # a full pipe that another process has set to non-blocking
        return memoryview(written).nbytes

    @property
    def refusal(self) -> str:
        """The reason why not all was written; empty if all was, or if the reader is gone."""
        if self.failure is None or self.failure.errno in _GONE:
            return ""
        return (
            f"standard output: {self.failure.strerror}: not all of the answer is there: make room, or write elsewhere"
        )


@contextmanager
def standard_streams() -> Iterator[Output]:
    """Replace standard output and error by an `Output` while the body runs; yield that of standard output."""
    codecs.register_error("nodebench", _plain)
    _open_closed_descriptors()
    before = sys.stdout, sys.stderr
    output, error = Output(1, "w", closefd=False), Output(2, "w", closefd=False)
    if sys.stdout is sys.__stdout__:  # else it is captured, by a test for example
        sys.stdout = _text(output, before[0], line_buffering=output.isatty())
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(error, before[1], line_buffering=True)
    try:
        yield output
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _text(output: Output, before: TextIO | None, *, line_buffering: bool) -> TextIO:
    encoding = before.encoding if before else "utf-8"
    return io.TextIOWrapper(io.BufferedWriter(output), encoding, "nodebench", line_buffering=line_buffering)


def _open_closed_descriptors() -> None:
    """Open /dev/null on each standard descriptor that is closed.

    A file gets the lowest free descriptor: otherwise the next one, a database say, would become standard output.
    """
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """The replacement of characters that an encoding lacks: similar ASCII characters, or escapes with their numbers."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_plainly, lacking)), error.end


def _plainly(character: str) -> str:
    plain = _PLAIN.get(character) or unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or character.encode("ascii", "backslashreplace").decode()
