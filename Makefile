# Two commands do everything on a fresh machine: `make chaos` and `make test`. Both set up what they need the first time
# (virtual environment, dependencies, PostgreSQL, Toxiproxy), and need no network after that.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: chaos test contract mutation lint setup clean

chaos: $(READY) ## break the reference service in every scenario, judge it, write a report
	$(BIN)/topup-chaos run

test: $(READY) ## all tests, on real parts; two files at a time
	$(BIN)/python -m pytest -n 2 --dist loadfile

contract: $(READY) ## what the payment providers' own packages make of our callbacks; fetches them the first time (Node too)
	$(BIN)/python tests/contract/official_packages.py
	$(BIN)/python -m pytest tests/contract -m contract

mutation: $(READY) ## how many of forty mutations of the money path the tests and scenarios kill; fetches Cosmic Ray the first time
	$(BIN)/python tests/benchmarks/mutation/score.py --sample 40

lint: $(READY) ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

setup: $(READY) ## only what the others need

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "topup-chaos needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "this Python cannot make virtual environments: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable .
	$(BIN)/topup-chaos doctor --install
	@touch $@

clean: ## remove what was set up here; the cache stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
