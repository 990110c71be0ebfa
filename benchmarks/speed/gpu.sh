#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in 25 minutes, into one JSON:
#   benchmarks/speed/gpu.sh gpu.json              # PYTHON=... for another Python
#   benchmarks/speed/gpu.sh gpu.json --dry        # tiny sizes on the processor: does it run?
# nnU-Net's rows want: pip install --constraint constraints.txt ".[benchmark]" nnunetv2
set -eu
cd "$(dirname "$0")/../.."
exec "${PYTHON:-python}" -W ignore -m benchmarks.speed.gpu "$@"
