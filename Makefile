# Two commands do everything: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# one thread a worker: more would fight over the cores
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -q

.PHONY: demo test slow paper lint types clean

demo: $(VENV)/.ready
	$(BIN)/irtbench demo --out irtbench-demo --force

test: lint types
	$(PYTEST)

slow: $(VENV)/.ready
	$(PYTEST) --dist worksteal -m "slow and not gpu and not peer"

paper: $(VENV)/.ready
	$(BIN)/python benchmarks/paper/seedlings.py

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/mypy

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) irtbench-demo dist build
