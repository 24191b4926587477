# Two commands do everything: `make` runs the experiments and shows where the report is, `make test` tests.
# Variables: CORES=4  DATASET=fashion_mnist  MIRROR=folder-or-URL  SEEDS=20

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

CORES ?= all
DATASET ?=
MIRROR ?=
SEEDS ?=
KILLS ?= 10

# A mirror is one of MNIST's files, and asking for one is asking for MNIST.
SETTINGS := $(if $(SEEDS),seeds='$(SEEDS)') $(if $(MIRROR),mirrors='["$(MIRROR)"]')
WANTED := $(or $(DATASET),$(if $(MIRROR),mnist))

.DEFAULT_GOAL := report
.PHONY: report studies watch install browser test test-slurm test-faults lint format bench bench-workflow lock \
	schema help

# Shell: set $$dataset to the data set to run on, and $$name to the name its files stand under.
CHOOSE = set -e; dataset='$(WANTED)'; \
	[ -n "$$dataset" ] || dataset=$$($(BIN)/python -m bnpipe.choose); \
	name=$$($(BIN)/python -m bnpipe.data.sources "$$dataset")
RUN = $(BIN)/snakemake --quiet host rules reason --config dataset="$$dataset" $(SETTINGS)

report: $(INSTALLED) ## set up, run all experiments, say where the report is (the default)
	@$(CHOOSE); $(RUN) --cores $(CORES); echo "Report: $(CURDIR)/results/$$name/report.html"

studies: $(INSTALLED) ## run all studies, say where their page is (some 30 minutes on two cores)
	@$(CHOOSE); $(RUN) --cores $(CORES) -- studies; echo "Studies: $(CURDIR)/results/$$name/studies.html"

watch: $(INSTALLED) ## show how far a grid is that runs, here or on a cluster, until all is done or Ctrl-C
	@$(CHOOSE); $(BIN)/python -m bnpipe.watch --follow --config dataset="$$dataset" $(SETTINGS)

install: $(INSTALLED) ## set up the virtual environment in .venv and no more

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.11 or newer is needed; write make PYTHON=python3.12, say"; exit 1; }
	@echo "Setting up .venv: some 6.5 GB on Linux, where PyTorch brings CUDA along; this takes a few minutes."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

browser: $(INSTALLED) ## install Debian's Chromium where there is no browser, as root: without one the pages are not tested in it
	$(BIN)/python -m tests.browser.install

test: $(INSTALLED) ## set up and run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-slurm: $(INSTALLED) ## run the workflow on a Slurm cluster of two nodes on this machine, as root on Debian, some 12 minutes
	OMP_NUM_THREADS=1 BNPIPE_TEST_SLURM=1 timeout --foreground --signal INT --kill-after 60 1500 $(BIN)/python -m pytest --durations=0 tests/slurm

test-faults: $(INSTALLED) ## kill jobs and the command at random moments, fill the disk, and so on; some 7 minutes, root for disks
	OMP_NUM_THREADS=1 BNPIPE_TEST_FAULTS=1 BNPIPE_TEST_KILLS=$(KILLS) timeout --foreground --signal INT --kill-after 60 1800 $(BIN)/python -m pytest --numprocesses auto --verbose --durations=0 tests/faults

lint: $(INSTALLED) ## check format, style, types and the workflow
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: $(INSTALLED) ## bring all code into the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow

bench: $(INSTALLED) ## measure a training step against its alternatives, some 5 minutes
	@$(CHOOSE); $(RUN) --cores 1 -- data; \
	$(BIN)/python -m benchmarks.training resources/$$name/packed.safetensors

bench-workflow: $(INSTALLED) ## measure where the time of the whole workflow goes, some 10 minutes
	@$(CHOOSE); $(RUN) --cores 1 -- data; \
	$(BIN)/python -m benchmarks.workflow resources/$$name/packed.safetensors "$$dataset" $$(nproc)

lock: $(INSTALLED) ## resolve the dependencies of pyproject.toml anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --quiet --upgrade --output-file requirements.lock

schema: $(INSTALLED) ## write what follows from the types of config.yaml: its JSON schema for editors, its reference
	$(BIN)/python -m bnpipe.grid.config > docs/config.schema.json
	$(BIN)/python -m bnpipe.grid.reference > docs/configuration.md

help: ## list the targets
	@echo 'make [TARGET] [CORES=n] [DATASET=name-or-folder] [MIRROR=folder-or-URL] [SEEDS=n]'
	@sed -n 's/^\([a-z-]*\):.*## /  \1	/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
