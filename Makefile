# Fermata: every command a developer needs. `make` alone lists them.
# Needs Python 3.11 or newer, make and a C compiler; the rest is fetched, locked by hash, into .venv.

VENV  := .venv
BIN   := $(VENV)/bin
LOCKED    := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
CLIENTS   := tests/npm/node_modules/.package-lock.json
ARGS  ?=
OUT   ?=
JOBS  ?= 2
SEEDS ?= 100
FIRST_SEED ?= 0
SECONDS ?= 1800
FINDS ?= fuzz-finds
TAMPER := tests/services/test_audit.py tests/services/test_archives.py tests/cli/test_audit.py tests/store/test_sealing.py
DRILL := tests/services/test_backups.py tests/cli/test_backup.py tests/store/test_point_in_time.py
FOLDER ?= $(VENV)/$@

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fast format lint types contracts pytest simulate fuzz fuzz-api tamper drill kubernetes slurm lock reasons roles sbom build clean bench bench-full bench-long bench-page

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: $(INSTALLED)  ## start server, board and simulated fleet on loopback (ARGS="--resume")
	@$(BIN)/fermata demo $(ARGS)

test: format lint types contracts pytest  ## everything CI runs: format, lint, types, contracts, tests

check: test  ## the same as test

fast: $(INSTALLED) $(CLIENTS)  ## the quick loop: lint, contracts, tests not marked slow, first failure stops
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-logo > $(VENV)/contracts.log || { cat $(VENV)/contracts.log; exit 1; }
	@$(BIN)/pytest -q -x -n $(JOBS) --dist loadgroup -m "not slow" $(ARGS)

bench: $(INSTALLED)  ## every table at 20,000 nodes, under 15 quiet minutes, see docs/benchmarks.md (OUT=folder ARGS="--only importing")
	@$(BIN)/python benchmarks/bench.py --plan bench $(if $(OUT),--out $(OUT)) $(ARGS)

bench-full: $(INSTALLED)  ## the tables from 1,000 to 1,000,000 nodes, under 90 quiet minutes (OUT=folder)
	@$(BIN)/python benchmarks/bench.py --plan full $(if $(OUT),--out $(OUT)) $(ARGS)

bench-long: $(INSTALLED)  ## what takes longer than both: January and fifty times it, simulated with every fault (OUT=folder)
	@$(BIN)/python benchmarks/bench.py --plan long $(if $(OUT),--out $(OUT)) $(ARGS)

bench-page: $(INSTALLED)  ## write docs/benchmarks-results.md and its charts from the figures of runs (OUT="folder folder")
	@$(BIN)/python benchmarks/page.py $(OUT) $(ARGS)

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

fuzz: $(INSTALLED)  ## give every reader of files and texts hostile input for SECONDS each, see docs/limits.md (ARGS="--only policy")
	@$(BIN)/python tools/fuzz.py --seconds $(SECONDS) --jobs $(JOBS) --finds $(FINDS) $(ARGS)

fuzz-api: $(INSTALLED)  ## ask every operation of the API as callers of every kind, SECONDS in all, see docs/limits.md (ARGS="--only viewer")
	@$(BIN)/python tools/fuzz_api.py --seconds $(SECONDS) --finds $(FINDS) $(ARGS)

tamper: $(INSTALLED)  ## write to the journal, its archives and checkpoints in every way we know, and see each found out, see docs/audit.md
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup $(ARGS) $(TAMPER)

drill: $(INSTALLED)  ## lose stores and bring them back, from backups and to a point in time, on SQLite and PostgreSQL, see docs/operating.md
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup $(ARGS) $(DRILL)

kubernetes: $(INSTALLED)  ## run the Kubernetes adapter's tests against a real API server, built into FOLDER first, see docs/kubernetes.md
	@bash tools/build_kubernetes.sh $(FOLDER)
	@FERMATA_TEST_KUBERNETES=$(abspath $(FOLDER))/bin $(BIN)/pytest -n 0 $(ARGS) tests/adapters/test_kubernetes_real.py tests/adapters/test_scripted_day_kubernetes.py

slurm: $(INSTALLED)  ## run the Slurm adapter's tests against Slurm 24.11, unpacked into FOLDER first, as root, see docs/slurm.md
	@bash tools/build_slurm.sh $(FOLDER)
	@FERMATA_TEST_SLURM=$(abspath $(FOLDER))/bin $(BIN)/pytest -n 0 $(ARGS) tests/adapters/test_slurm_real.py tests/adapters/test_slurm_jobs.py tests/adapters/test_scripted_day.py tests/adapters/test_slurm_conforms.py

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

sbom: $(INSTALLED)  ## write SBOMs (CycloneDX) and licences of all that is locked into OUT, .venv/sbom without it
	@$(BIN)/python tools/write_sbom.py $(or $(OUT),$(VENV)/sbom)

roles: $(INSTALLED)  ## write docs/access-roles.md from the policies
	@$(BIN)/python tools/write_roles.py

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
