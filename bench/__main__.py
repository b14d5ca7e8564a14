"""`python -m bench` is `nodebench`."""

from bench.cli import main

if __name__ == "__main__":
    main()
