# Two commands on a fresh machine: `make run` and `make test`. Everything is installed into .venv,
# from hash-locked requirements.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install --disable-pip-version-check
READY = .venv/ready

.DEFAULT_GOAL := help
.PHONY: help run test test-long lint bench bench-train lock clean

help:  ## show this list
	@awk -F ':.*##' '/^[a-z-]+:.*##/ {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY)  ## set up, then the whole governed fine-tune on this machine, on a synthetic corpus
	.venv/bin/python -m pipeline.local run

# Each worker process runs whole files, so what a file shares is started once (tests/conftest.py).
# There is one worker more than cores, at most four.
PYTEST = .venv/bin/python -m pytest --numprocesses auto --no-loadscope-reorder

test: $(READY) build/spark-venv/ready  ## set up, then the tests that this machine can run, on all its cores
	$(PYTEST)

test-long: $(READY) build/spark-venv/ready  ## run the exhaustive variants, as a nightly run does
	$(PYTEST) -m long

lint: $(READY)  ## check style, types and import contracts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: $(READY)  ## measure the warm run: seconds and shares of each part
	.venv/bin/python -m scripts.journey_bench

bench-train: $(READY) build/bench-venv/ready  ## measure training against its peers, as one table of ratios (12 minutes)
	.venv/bin/python -m scripts.training_bench

lock: $(READY)  ## resolve the requirements again, after a change of a *.in file
	scripts/lock

# Real Spark and Delta for the parity test, if Java is installed. Without Java the test is skipped
# and gives the reason.
build/spark-venv/ready: requirements/spark.txt containers/prepare/requirements.txt | $(READY)
	if command -v java > /dev/null; then scripts/spark-venv; else mkdir -p $(@D); fi
	@touch $@

# The peers that bench-train compares ours with.
build/bench-venv/ready: requirements/bench.txt | $(READY)
	scripts/bench-venv

clean:  ## remove what `make` and the embedded environment made
	rm -rf .venv .local build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# --no-deps: the lock is complete, and requirements/overrides.txt replaces ministack's pin of an
# older botocore. torch is installed last and without the lock: its build depends on the machine.
$(READY): requirements/environment.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed, this is " + sys.version'
	@echo "installing into .venv, once: two to three minutes, most of it torch"
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip==26.3
	$(PIP) --no-deps --require-hashes --requirement requirements/environment.txt
	$(PIP) torch==2.13.0
	@touch $@
