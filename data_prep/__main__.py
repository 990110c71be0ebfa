"""`python -m data_prep`; a signal while it imports, and a machine without memory for it, are told in a sentence too."""

import sys

from data_prep.user_folder import look_there_last


def run() -> None:
    """Import and run the command line."""
    try:
        from data_prep.interrupts import done, end_at_once
        from data_prep.lack_of_memory import memory_told
    except (MemoryError, SyntaxError, SystemError):  # without memory Python's compiler may report an error of syntax
        sys.stderr.write("error: not enough memory. Type: free -h\n")
        sys.exit(5)
    end_at_once()
    try:
        with memory_told():
            from data_prep.cli import main

            main()
    finally:
        done()


if __name__ == "__main__":
    look_there_last(sys.path)
    run()
