# Everything that can be done with this checkout. Each target first makes sure that what it needs is installed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test lint ruff mypy pyright unit lab bench format clean

PY := .venv/bin/python
DEMO ?= $(PY) -m pre_nixos.lab.demo
BENCH ?= $(PY) -m tests.bench
ARTEFACTS ?= artefacts
ARGS ?=
# Guests that run at a time; each takes up to a gigabyte, and one in three of them waits.
JOBS ?= $(shell echo $$(($$(nproc) < 8 ? $$(nproc) + 1 : 8)))

# Where the lab keeps the console, the journal and the reports of what failed.
export PRE_NIXOS_ARTEFACTS := $(abspath $(ARTEFACTS))
# pyright comes whole from its wheel; without this it asks the network whether there is a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: Debian packages (needs root) and .venv
	@bash tools/setup.sh

demo: setup ## rehearse a whole job on a virtual server; needs no root
	@$(DEMO)

test: lint unit lab ## the gate: everything below must pass

lint: ruff mypy pyright ## ruff, mypy --strict, pyright

ruff: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

mypy: setup
	$(PY) -m mypy

pyright: setup
	$(PY) -m pyright

unit: setup ## tests that need no machine; ARGS="-k gpt" goes to pytest
	@mkdir -p $(ARTEFACTS)
	$(PY) -m pytest tests/unit examples --junitxml=$(ARTEFACTS)/unit.xml $(ARGS)

lab: setup ## tests on real kernels in guests; ARGS as above
	@mkdir -p $(ARTEFACTS)
	$(PY) -m pytest tests/integration --numprocesses=$(JOBS) --dist=loadfile --durations=10 \
		--junitxml=$(ARTEFACTS)/lab.xml $(ARGS)

bench: setup ## ratios the project holds itself to
	@$(BENCH)

format: setup ## let ruff put the files in order
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean: ## remove what the tools left behind; .venv stays
	rm -rf $(ARTEFACTS) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name .venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
