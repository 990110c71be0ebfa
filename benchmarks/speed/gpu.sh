#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in 25 minutes, into one JSON:
#   benchmarks/speed/gpu.sh gpu.json              # PYTHON=... for another Python
#   benchmarks/speed/gpu.sh gpu.json --dry        # tiny sizes on the processor: does it run?
# nnU-Net's rows want: pip install --constraint constraints.txt ".[benchmark]" nnunetv2
set -eu
root="$(cd "$(dirname "$0")/../.." && pwd)"
python="${PYTHON:-$root/.venv/bin/python}"
[ -x "$python" ] || python="$(command -v "${PYTHON:-python}")"
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -W ignore -m benchmarks.speed.gpu "$@"
