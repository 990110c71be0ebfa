"""`python -m monai_hybrid.viewing masks`: see `command`."""

from monai_hybrid.launch import run_main

if __name__ == "__main__":
    run_main("monai_hybrid.viewing.command")
