# Python 3.11 or newer and make are all that this needs.
PYTHON ?= python3
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH = $(shell sed -n 's/^torch==//p' constraints.txt)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint bench bench-quality clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

venv: $(STAMP) ## Make the virtual environment .venv with pinned dependencies

# torch comes first and alone: on Linux PyPI's build carries gigabytes of CUDA, of which a recommender
# on a CPU uses nothing. Where pip's own index has no CPU build, PyTorch's has.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "recs needs Python >= 3.11, but $(PYTHON) is $$($(PYTHON) --version 2>&1)"; \
	  echo "hint: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "making $(VENV): the first time takes a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt torch==$(TORCH)+cpu 2>/dev/null || \
	  $(PIP) install -c constraints.txt --extra-index-url $(TORCH_INDEX) torch==$(TORCH)
	$(PIP) install -c constraints.txt -e '.[train,server,dev]'
	@touch $@

$(BENCH_STAMP): $(STAMP)
	$(PIP) install -c constraints.txt -e '.[bench]'
	@touch $@

demo: $(STAMP) ## A shop from files to recommendations; DATA=folder for a real one
	@$(BIN)/recs demo $(if $(DATA),--data '$(DATA)')

lint: $(STAMP) ## Style, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## Lint, then all tests, against a real PostgreSQL
	$(BIN)/pytest -n 2

bench: $(BENCH_STAMP) ## Speed: loading, write-back, serving, training, sessions at once
	$(BIN)/python -m benchmarks.load
	$(BIN)/python -m benchmarks.writeback
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.concurrency

bench-quality: $(BENCH_STAMP) ## Quality against other recommenders; DATA=folder with the data sets
	@test -n "$(DATA)" || { echo "which data? make bench-quality DATA=folder"; exit 2; }
	$(BIN)/python -m benchmarks.quality --data '$(DATA)'

clean: ## Stop the embedded server; remove it, .venv and what tools left
	@if [ -x $(BIN)/recs ]; then $(BIN)/recs server stop; fi
	rm -rf $(VENV) .recs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
