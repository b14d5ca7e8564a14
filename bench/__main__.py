"""`python -m bench` is `nodebench`."""

from bench.main import main

if __name__ == "__main__":
    main()
