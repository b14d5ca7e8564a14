"""The program: `nodebench`, or `python -m bench`."""

from bench import working_folder


def main() -> None:
    """Run the command line, for which nothing is imported before the working folder is left."""
    working_folder.leave()
    from bench.main import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()
