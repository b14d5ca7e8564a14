# nodebench: `make help` lists what there is to do.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
DEV := $(VENV)/.dev
PEERS := $(VENV)/.peers
OUT := out
PYTEST := $(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist worksteal --benchmark-skip
SCALE := tests/benchmarks/test_bench_results.py

.DEFAULT_GOAL := help
.PHONY: help bench test test-all check report regress scale twins interrupts hostile vendor clean clean-results

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

bench: $(READY) ## measure the default sweep into out/bench.db and write out/report/index.html
	@$(BIN)/nodebench run default --db sqlite:///$(OUT)/bench.db
	@$(BIN)/nodebench report --db sqlite:///$(OUT)/bench.db -o $(OUT)/report

test: $(DEV) ## run the tests that stand for all: minutes
	@$(PYTEST)

test-all: $(DEV) ## run every test and every case of it: half an hour
	@$(PYTEST) --all

check: $(DEV) ## lint, types and the arrows between the packages
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

report: $(READY) ## write out/report/index.html from out/bench.db
	@$(BIN)/nodebench report --db sqlite:///$(OUT)/bench.db -o $(OUT)/report

regress: $(PEERS) ## time solves and training steps beside torchdiffeq's and torchode's; compare with the last saved run
	@$(BIN)/python -m pytest -q tests/benchmarks --ignore $(SCALE) --benchmark-only --benchmark-autosave --benchmark-compare

scale: $(DEV) ## time a database of 1,000,000 trials and 20,000,000 samples: minutes, and gigabytes in the temporary folder
	@$(BIN)/python -m pytest -q -s $(SCALE) --benchmark-only --benchmark-columns=min,median,max,rounds --benchmark-group-by=group

twins: $(READY) ## time twins beside a process that spins on and off: do the intervals hold? Minutes
	@$(BIN)/python docs/examples/twins --blocks 20

interrupts: $(DEV) ## interrupt 300 runs at random moments: is all kept that is promised? An hour or two
	@$(BIN)/python docs/examples/interrupts --interruptions 300

hostile: $(DEV) ## give 2,000 damaged databases and 500 damaged files to the verbs that read them: half an hour
	@$(BIN)/python docs/examples/hostile --databases 2000 --imports 500

vendor: $(READY) ## take the page's JavaScript libraries from npm, as reports/static/vendor/vendor.toml says
	@$(BIN)/python docs/examples/vendor

clean: ## remove what can be made again: the page and caches (the environment stays, and all that was measured)
	rm -rf "$(OUT)/report" dist .hypothesis .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-results: ## remove out/ with all that was measured: databases, their backups, trials to be taken in
	@if [ ! -d "$(OUT)" ]; then echo "nothing to remove: no $(OUT)/"; else \
	    find "$(OUT)" -mindepth 1 -maxdepth 1 -exec du -sh {} + && rm -rf "$(OUT)" && \
	    echo "removed: $(OUT)/ with all of this"; fi

$(PEERS): $(DEV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[dev,peers]'
	@touch $@

$(DEV): $(READY)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# The stamp is newer than what it was made from, or everything is installed anew.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"nodebench needs Python 3.11 or newer, this is {v[0]}.{v[1]}: make PYTHON=python3.11 ...")'
	@echo "installing into $(VENV) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt torch
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@
