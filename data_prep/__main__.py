"""`python -m data_prep`; a machine without memory for the program itself is told in a sentence too."""

import sys

# How Python tells a lack of memory besides MemoryError: compile() loses the error, and a library cannot be mapped.
SIGNS = ("error return without exception set", "failed to map segment", "cannot allocate memory")


def lacks_memory(error: BaseException) -> bool:
    """Whether an error means that memory has ended."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in SIGNS)


def run() -> None:
    """Import and run the command line."""
    try:
        from data_prep.cli import main

        main()
    except (MemoryError, SystemError, ImportError, OSError) as error:
        if not lacks_memory(error):
            raise
        sys.stderr.write("error: not enough memory. Type: free -h\n")
        sys.exit(5)


if __name__ == "__main__":
    run()
