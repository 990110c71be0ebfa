"""`python -m data_prep`; a signal while it imports, and a machine without memory for it, are told in a sentence too."""

from data_prep.interrupts import done, end_at_once
from data_prep.lack_of_memory import memory_told


def run() -> None:
    """Import and run the command line."""
    end_at_once()
    try:
        with memory_told():
            from data_prep.cli import main

            main()
    finally:
        done()


if __name__ == "__main__":
    run()
