# Two commands do all set-up on a fresh machine with Python 3.11 and pip:
#   make quickstart    generates a small crawl and runs the whole pipeline on it
#   make test          runs the test suite
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: setup setup-dev quickstart test test-bounds bench lint clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --constraint constraints.txt --editable .
	touch $@

setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --constraint constraints.txt --editable '.[dev,ablations,lmeval]'
	touch $@

QUICKSTART := quickstart

# Exit code 3: done, and bytes were lost. A few records of the sample are damaged, as on the web.
quickstart: setup
	rm -rf $(QUICKSTART)
	$(BIN)/decant sample-crawl --pages 2000 --seed 1 $(QUICKSTART)/crawl
	$(BIN)/decant run quickstart --input $(QUICKSTART)/crawl --output $(QUICKSTART)/run --workers 2 \
		|| test $$? -eq 3

test: setup-dev
	$(BIN)/python -m pytest

# With bounds checks in every kernel, compiled apart: machine code that reads or writes behind an
# array's end fails here and may go unseen elsewhere.
test-bounds: setup-dev
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(CURDIR)/build/bounds \
		$(BIN)/python -m pytest tests/filters tests/parity tests/pipeline

# Both sides of every comparison run in one go; `make bench-rules` runs one bench. Those of real
# pages look for them in $DECANT_REAL_DATA. Long ones have a size to set: see each file's head.
BENCHES := rules page_rules extraction extraction_quality dedup dedup_scale training neural_planted shard_scale whole_run

bench: $(addprefix bench-,$(BENCHES))

bench-%: setup-dev
	$(BIN)/python -m tests.bench.$*

bench-calibration: setup-dev
	$(BIN)/python -m tests.bench.calibration --output bench-results/calibration

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tests.typecheck

clean:
	rm -rf $(VENV) $(QUICKSTART) build *.egg-info
