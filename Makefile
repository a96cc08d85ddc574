# Needs python3 (3.11 or newer) with pip and venv, and make; everything else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Tests run in a process a core, and the demo's networks are small: more threads would only get in their way.
ONE_THREAD := OMP_NUM_THREADS=1
# Every process of the tests imports the same modules: they are compiled once, even where the environment forbids it.
KEPT := PYTHONDONTWRITEBYTECODE=
DEMO := ganeval train-and-score --variant dcgan --score-every 300 -o demo/dcgan

.PHONY: help demo test check docs bench clean
.DEFAULT_GOAL := help

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: $(INSTALLED)  ## score photographs, and real, worse and generated handwritten digits, in demo/
	@$(BIN)/python scripts/demo.py
	@rm -rf demo/dcgan
	@echo && echo '$$ $(DEMO)'
	@$(ONE_THREAD) GANEVAL_CACHE=demo/cache $(BIN)/$(DEMO)

test: $(INSTALLED)  ## run every test
	$(ONE_THREAD) $(KEPT) $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

check: $(INSTALLED) docs  ## ruff, mypy (strict), the import contract, and the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED)  ## build the documentation in docs/_build/html, warnings as errors, and check its links
	$(ONE_THREAD) $(BIN)/python -m sphinx -q -W --keep-going -n -E -b html docs docs/_build/html
	$(BIN)/python scripts/check_links.py

bench: $(INSTALLED)  ## ganeval and other tools, on the same images and weights
	$(BIN)/python -m benchmarks

clean:  ## remove what the other targets made, .venv included
	rm -rf .venv demo dist build docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The stamp is younger than pyproject.toml exactly when there is nothing to install.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ganeval needs Python 3.11 or newer")'
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@
