"""`python -m monai_hybrid.reporting runs/adapted --compare before=runs/before`: see `command`."""

from monai_hybrid.launch import run_main

if __name__ == "__main__":
    run_main("monai_hybrid.reporting.command")
