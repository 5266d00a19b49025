# Two commands do everything: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test slow lint types clean

demo: $(VENV)/.ready
	$(BIN)/irtbench demo --out irtbench-demo --force

test: lint types
	$(BIN)/python -m pytest -n $(WORKERS) -q

slow: $(VENV)/.ready
	$(BIN)/python -m pytest -n $(WORKERS) -q -m "slow and not gpu and not peer"

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
