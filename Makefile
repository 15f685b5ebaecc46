# Everything is set up in .venv/ of this checkout; the sandbox's guest environment goes to the user's cache.
# A set-up step runs again only when what its stamp depends on has changed.

PYTHON ?= python3
BIN := .venv/bin
TOOLS := .venv/.stamp-tools
GUEST := .venv/.stamp-guest

# Quiet and offline: no telemetry, no model hub, and a Prefect home of our own.
export DO_NOT_TRACK := 1
export HF_HUB_OFFLINE := 1
export PREFECT_HOME := $(CURDIR)/.cache/prefect
export PREFECT_LOGGING_LEVEL := WARNING
export PREFECT_LOGGING_TO_API_ENABLED := false
export PREFECT_SERVER_ANALYTICS_ENABLED := false
# The default of 20 s is too short for a first start on two busy cores (measured: 19 s of CPU).
export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS := 180

.PHONY: help setup demo check test bench clean

help:
	@echo 'make demo    curate the demo corpus into runs/demo (no GPU, network or key)'
	@echo 'make test    checks, then all tests'
	@echo 'make check   ruff, mypy, import contracts'
	@echo 'make bench   measure the engine on this machine'
	@echo 'make setup   what the others need; they call it themselves'
	@echo 'make clean   remove caches and the virtual environment; runs/ stays'

setup: $(TOOLS) $(GUEST)

demo: setup
	$(BIN)/coldforge run manifests/recipes/demo.yaml --out runs/demo

check: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two workers: the tests are sized for two cores, and each may start worker processes of its own. A file stays on
# one worker, so that a run of the demo that several tests look at is made once.
test: check setup
	$(BIN)/pytest -n 2 --dist loadfile

bench: setup
	@set -e; for script in tests/benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv is an order of magnitude faster than pip; where it does not install or work, pip does the same.
# The lock is complete, so nothing is resolved again (--no-deps).
PACKAGES := --quiet --no-deps -r requirements.lock --editable .
$(TOOLS): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("coldforge needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo 'Setting up .venv (about 1.5 GB; seconds with uv, minutes with pip)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv && $(BIN)/uv pip install --python $(BIN)/python $(PACKAGES) \
		|| $(BIN)/python -m pip install $(PACKAGES)
	@touch $@

$(GUEST): pipeline/sandbox/guest.lock $(TOOLS)
	$(BIN)/coldforge sandbox setup
	@touch $@
