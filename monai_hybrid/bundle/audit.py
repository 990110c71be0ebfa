"""The earlier place of `python -m monai_hybrid.audit`, kept for command lines that were written down."""

import runpy

if __name__ == "__main__":
    runpy.run_module("monai_hybrid.audit", run_name="__main__", alter_sys=True)
