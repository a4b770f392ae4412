# Everything a checkout needs is set up by the targets themselves, from Python 3.11+, make, git and the package index.
# Nothing is installed outside this directory, apart from uv's own cache.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# More than processors: tests wait for stores, clocks and processes more than they compute.
WORKERS ?= 4

# uv finds the interpreter on this machine, or takes the one that UV_PYTHON names. It never downloads one.
export UV_PYTHON_DOWNLOADS := never
# Each command of the tests is a process of its own: compiled once, it starts in a third of the time. Python does so for
# what is imported; of all that is installed, that is not half.
unexport PYTHONDONTWRITEBYTECODE
# The checkout's own environment is meant, whichever one the calling shell has activated.
unexport VIRTUAL_ENV

UV := $(shell command -v uv 2>/dev/null || echo .migrator/uv/bin/uv)
OWN_UV := $(filter .migrator/uv/bin/uv,$(UV))

.DEFAULT_GOAL := help
.PHONY: help demo test lint compiled soak bench docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## a migration from nothing to its end, on embedded stores
	$(BIN)/migrate demo

test: lint compiled .migrator/dynoxide ## lint, then every test but the long proofs, with coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(READY) ## ruff, mypy and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# What pytest makes of each test module, once, before all workers read it.
compiled: $(READY)
	$(BIN)/pytest --collect-only --quiet --quiet >/dev/null

soak: $(READY) .migrator/dynoxide ## the long proofs
	$(BIN)/pytest -m soak tests/soak

bench: $(READY) ## the benchmarks, each beside a peer in the same run
	@set -e; for script in bench/[!_]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

docs: $(READY) ## the documentation, into site/
	$(UV) run --locked --all-extras --group bench --group docs mkdocs build --strict

clean: ## remove what the other targets made, the environment included
	rm -rf $(VENV) .migrator site dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml uv.lock | $(OWN_UV)
	$(UV) sync --locked --all-extras --group bench
	@touch $@

.migrator/uv/bin/uv: .ci/get_uv.py
	@for python in "$${UV_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec "$$python" .ci/get_uv.py .migrator/uv; \
	  fi; \
	done; \
	echo "error: neither uv nor a Python of version 3.11 or later is on PATH." >&2; \
	echo "next: install Python 3.11+, or name one: make UV_PYTHON=/path/to/python3.12 ..." >&2; \
	exit 1

# The second DynamoDB emulator is an extra opinion: where npm or its registry is not at hand, the first one has to do.
.migrator/dynoxide: | $(READY)
	@$(BIN)/python tests/support/fetch_dynoxide.py || echo "The tests run on the first DynamoDB emulator alone."
