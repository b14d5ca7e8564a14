"""Standard output for what other programs read."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from bench.failure import UsageError


@contextmanager
def binary_stdout() -> Iterator[IO[bytes]]:
    """Standard output as a binary file, which no encoding of the terminal changes; flushed when it is closed."""
    if sys.stdout is None:
        raise UsageError("stdout is closed: name a file")
    sys.stdout.flush()
    try:
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as file:
            yield file
    except BrokenPipeError:
        raise  # the reader has seen enough
    except OSError as error:
        raise UsageError(f"stdout cannot be written ({error.strerror}): name a file elsewhere") from error
