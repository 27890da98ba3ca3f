# make demo   simulated showers -> five trained networks -> reports -> comparison (minutes, CPU)
# make test   the test suite
# make quick   its tests that load no TensorFlow (a minute)
# make test-slurm   the tests that start a SLURM cluster on this machine (Debian's slurm-wlm, munge)
# make docs   the pages that are made from the code
# Everything sets up its environment (.venv) first; the second time it is there already.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install demo test quick test-slurm lint docs lock clean

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO ?= demo
# Processes that share the tests; each loads TensorFlow (2 GB).
JOBS ?= 2

help:
	@sed -n '/^# \(make\|Everything\)/s/^# //p' Makefile

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml .python-version
	VENV="$(VENV)" bash scripts/make_environment.sh
	touch $@

demo: install
	$(BIN)/cherenkov-mlops demo "$(DEMO)"

test: install
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --max-worker-restart 0 -m "not slurm" --cov --cov-report=term --cov-fail-under=90

quick: install
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slurm" --quick

# Its jobs share the cores: nothing beside them.
test-slurm: install
	$(BIN)/python -m pytest -m slurm tests/cluster

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: install
	$(BIN)/cherenkov-mlops config schema --markdown > docs/config.md
	$(BIN)/python -m cherenkov_mlops.metrics.document > docs/metrics.md

lock:
	bash scripts/lock_requirements.sh

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .coverage
