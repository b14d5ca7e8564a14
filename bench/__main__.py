"""The program: `nodebench`, or `python -m bench`."""

import os
import sys

from bench import working_folder


def main() -> None:
    """Run the command line, with nothing imported before the working folder has been taken out of the import path."""
    working_folder.leave_import_path()
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # Python's default, which prints a traceback
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the handler that prints one line is loaded
    try:
        os.getcwd()  # noqa: PTH109  (pathlib is loaded only after this)
    except FileNotFoundError:  # Python copes with that, but some libraries do not
        print("nodebench: the working folder was deleted: go to one that is there (cd)", file=sys.stderr)
        sys.exit(2)
    from bench.main import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()
