# Fermata: every command a developer needs. `make` alone lists them.
# Needs Python 3.11 or newer, make and a C compiler; the rest is fetched, locked by hash, into .venv.

VENV  := .venv
BIN   := $(VENV)/bin
LOCKED    := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
CLIENTS   := tests/npm/node_modules/.package-lock.json
ARGS  ?=
OUT   ?=
BENCHMARKS := importing pending approving planning campaigns varied sequencing standing querying doors conducting transitions deciding simulating gating controllers auditing
JOBS  ?= 2
SEEDS ?= 100
FIRST_SEED ?= 0
FOLDER ?= $(VENV)/kubernetes

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fast format lint types contracts pytest simulate kubernetes lock reasons build clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: $(INSTALLED)  ## start server, board and simulated fleet on loopback (ARGS="--resume")
	@$(BIN)/fermata demo $(ARGS)

test: format lint types contracts pytest  ## everything CI runs: format, lint, types, contracts, tests

check: test  ## the same as test

fast: $(INSTALLED) $(CLIENTS)  ## the quick loop: lint, contracts, tests not marked slow, first failure stops
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-logo > $(VENV)/contracts.log || { cat $(VENV)/contracts.log; exit 1; }
	@$(BIN)/pytest -q -x -n $(JOBS) --dist loadgroup -m "not slow" $(ARGS)

bench: $(INSTALLED)  ## speed and memory beside plain baselines, see docs/benchmarks.md (ARGS="--runs 5")
	@for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py $(ARGS) $(if $(OUT),--json $(OUT)/$$name.json) || exit 1; done

setup: $(INSTALLED) $(CLIENTS)  ## create .venv and install everything, then stop

format: $(INSTALLED)
	@echo "== format"
	@$(BIN)/ruff format --check .

lint: $(INSTALLED)
	@echo "== lint"
	@$(BIN)/ruff check .

types: $(INSTALLED)
	@echo "== types"
	@$(BIN)/mypy

contracts: $(INSTALLED)
	@echo "== contracts"
	@$(BIN)/lint-imports --no-logo

pytest: $(INSTALLED) $(CLIENTS)
	@echo "== tests"
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup $(ARGS)

simulate: $(INSTALLED)  ## play SEEDS small campaigns with every fault, from FIRST_SEED on, see docs/simulator.md
	@$(BIN)/python tools/simulate.py --seeds $(SEEDS) --first-seed $(FIRST_SEED) --jobs $(JOBS) $(ARGS)

kubernetes: $(INSTALLED)  ## run the Kubernetes adapter's tests against a real API server, built into FOLDER first, see docs/kubernetes.md
	@bash tools/build_kubernetes.sh $(FOLDER)
	@FERMATA_TEST_KUBERNETES=$(abspath $(FOLDER))/bin $(BIN)/pytest -n 0 $(ARGS) tests/adapters/test_kubernetes_real.py tests/adapters/test_scripted_day_kubernetes.py

lock: $(INSTALLED)  ## write the lock files anew (ARGS=--upgrade for newer versions)
	@echo "Locking the Python dependencies"
	@$(BIN)/uv pip compile $(UV_FLAGS) $(ARGS) pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile $(UV_FLAGS) $(ARGS) -c requirements.lock --extra dev --extra overridden pyproject.toml -o requirements-dev.lock
	@echo "Locking the front-end assets"
	@$(BIN)/python hatch_build.py lock

UV_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"

reasons: $(INSTALLED)  ## write docs/reasons.md from the code
	@$(BIN)/python tools/write_reasons.py

build: $(INSTALLED)  ## build the wheel into dist/
	@$(BIN)/hatchling build -t wheel

clean:  ## remove .venv, caches and fetched assets
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf src/fermata/server/web/static/vendor tests/npm/node_modules

$(BIN)/python:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python; do \
	  if $$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Creating $(VENV) with $$($$python --version)"; \
	    exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "No Python 3.11 or newer with venv found. Install one (Debian: apt-get install python3 python3-venv)," >&2; \
	echo "or name it: make PYTHON=/path/to/python3.11" >&2; exit 1

$(LOCKED): requirements-dev.lock | $(BIN)/python
	@echo "Installing the locked dependencies, hashes checked"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes --no-deps \
	  -r requirements-dev.lock  # it lists everything, and overrides what one test client asks for
	@touch $@

$(CLIENTS): tests/npm/package-lock.json | $(LOCKED)
	@echo "Fetching the npm clients that tests ask our doors with"
	@$(BIN)/python hatch_build.py clients
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml hatch_build.py package.json package-lock.json
	@echo "Fetching the board's assets and installing fermata into $(VENV)"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@
