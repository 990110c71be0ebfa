# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Threads that wait without spinning: on a busy machine two spinning threads are several times slower than one.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo demo-full test long slow wheel site pacs-test lint clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/'

$(STAMP): pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	@touch $@

demo: $(STAMP)  ## scanner A to three labels of scanner B, with report.html (under 10 minutes on 2 cores without AVX-512)
	$(BIN)/python -m monai_hybrid.demo --output_dir demo

demo-full: $(STAMP)  ## the same with the plan's own network, more patients and updates
	$(BIN)/python -m monai_hybrid.demo --full --output_dir demo-full

# Two workers with a thread each take about half the time of one with two; WORKERS=0 is one process. In the order of the files:
# the long ones, which run bundles, come early, and short ones fill up the end.
WORKERS ?= 2
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
test: $(STAMP)  ## the tests, but for whole ways through the program
	$(PYTEST) -m "not slow and not long"

long: $(STAMP)  ## whole ways: from files to masks, exports, signals in a training; CI runs them too
	$(PYTEST) -m "long and not slow"

slow: $(STAMP)  ## the tests that take minutes; not in CI
	$(BIN)/python -m pytest -m slow

wheel: $(STAMP)  ## build the wheel and try each command of it from an empty folder
	$(BIN)/python tests/wheel_smoke.py

site: $(STAMP)  ## the documentation as a site, in build/site; a dead link stops it
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	$(BIN)/zensical build --clean --strict
	$(BIN)/python tests/site_links.py build/site

pacs-test: $(STAMP)  ## DICOM to a real archive and back: Orthanc and storescu (Debian: orthanc, dcmtk, dicom3tools)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/bundles/test_pacs.py

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove the environment and what runs have written
	rm -rf $(VENV) demo demo-full runs bundles/*/models bundles/*/eval bundles/*/logs bundles/*/data bundles/*/checkpoints bundles/*/.run.*
