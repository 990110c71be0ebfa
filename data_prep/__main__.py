"""`python -m data_prep`; a machine without memory for the program itself is told in a sentence too."""

import sys


def run() -> None:
    """Import and run the command line."""
    try:
        from data_prep.cli import main

        main()
    except MemoryError:
        sys.stderr.write("error: not enough memory. Type: free -h\n")
        sys.exit(5)


if __name__ == "__main__":
    run()
