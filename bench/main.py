"""The process of the command line: its signals, its streams and its exit code. Loads little, so that it is ready soon.

Exit code 0: done. 1: not all was measured or stored, or this machine did not let it. 2: refused, in one line: wrong
usage, a place that cannot be read or written. 128 and its number: ended by a signal (130 by Ctrl-C, 143 by SIGTERM, 129
by SIGHUP).
"""

import gc
import sys

from bench.failure import InfrastructureError, UsageError
from bench.interrupt import Ending, ignore_all
from bench.streams import standard_streams

_COLLECTED_AFTER = 200_000  # new objects: loaded modules stay, and scanning them took a fifth of the time


def main() -> None:
    """Run the command line and exit."""
    gc.set_threshold(_COLLECTED_AFTER, *gc.get_threshold()[1:])
    ending = Ending()
    ending.begin()
    try:
        code = _answered(ending)
        ignore_all()
    except BaseException as error:
        ignore_all()
        if not ending.number and not isinstance(error, KeyboardInterrupt):
            raise
        ending.tell()  # a library may have caught the KeyboardInterrupt and raised another error
        code = ending.exit_code
    if "multiprocessing.forkserver" in sys.modules:
        from bench.worker.forkserver import stop

        stop()
    gc.freeze()  # the process ends anyway: what is left need not be scanned once more
    sys.exit(code)


def _answered(ending: Ending) -> int:
    """Run the command line and flush its output; the exit code."""
    with standard_streams() as output:
        try:
            from bench.cli import answer

            code = answer(sys.argv[1:])
        except UsageError as error:
            code = _refused(str(error))
        except InfrastructureError as error:
            code = _refused(str(error), 1)
        except BrokenPipeError:  # the reader has seen enough
            code = 0
        except OSError as error:  # the machine's, not this program's: no space, no permission
            code = _refused(f"{error.filename or 'the system'}: {error.strerror or error}")
        sys.stdout.flush()
        if output.refusal:
            code = _refused(output.refusal) if code == 0 else code
    if not ending.number:
        return code
    if code == 0:  # the KeyboardInterrupt was lost, and the verb ran to its end
        ending.tell()
    return ending.exit_code


def _refused(reason: str, code: int = 2) -> int:
    line = " ".join(reason.split())
    shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in line)
    print(f"nodebench: {shown}", file=sys.stderr)
    return code
