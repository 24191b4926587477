# `make demo` runs a small experiment in a minute, `make` runs all experiments and says where the report is, `make test`
# runs the tests. Variables: CORES=4  DATASET=fashion_mnist  MIRROR=folder-or-URL  SEEDS=20  TORCH=cpu
# GPU_PYTHON=python3 runs `make test-gpu` without .venv, with a Python that has PyTorch and NumPy.

SHELL := /bin/bash
PYTHON_IS_NAMED := $(filter-out undefined,$(origin PYTHON))
PYTHON ?= python3
CORES ?= all
KILLS ?= 10
GPU_PYTHON ?=
TORCH ?= cuda# or cpu, which is untested: no test machine can reach the index that has those wheels
BIN := .venv/bin
INSTALLED := .venv/.installed# holds the version of its Python and the folder that it was made in
DEVELOPER := .venv/.developer# exists if the packages that only tests and checks need are installed
VERSION := import sys; print("Python %d.%d" % sys.version_info[:2])

# Values reach the shell as environment variables, never as part of its commands: they may contain quotes, blanks and $.
override PYTHON := $(value PYTHON)
override CORES := $(value CORES)
override DATASET := $(value DATASET)
override MIRROR := $(value MIRROR)
override SEEDS := $(value SEEDS)
override KILLS := $(value KILLS)
override GPU_PYTHON := $(value GPU_PYTHON)
override TORCH := $(value TORCH)
export PYTHON CORES DATASET MIRROR SEEDS KILLS GPU_PYTHON TORCH

# Drop settings for other Pythons, other projects and personal plots. Keep those that tell pip how to reach its index.
unexport VIRTUAL_ENV MPLBACKEND MPLCONFIGDIR MATPLOTLIBRC
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_NO_BINARY PIP_NO_DEPS PIP_DRY_RUN PIP_CONSTRAINT \
	PIP_REQUIRE_HASHES PIP_REQUIRE_VIRTUALENV
unexport $(filter-out PYTHON,$(filter PYTHON% SNAKEMAKE_%,$(.VARIABLES)))

# If there is no writable home folder, as in some containers, caches go into the project.
ifneq ($(shell test -d "$$HOME" -a -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/.snakemake/home
unexport XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME
endif

.DEFAULT_GOAL := report
.PHONY: report demo studies paper-figures watch install fit browser test test-slurm test-faults test-gpu lint format docs \
	bench bench-workflow lock schema help

# Shell code: set $$dataset to the data set to run on (MIRROR names a mirror of MNIST's files, so it selects MNIST),
# $$name to the name of its folders, and $$settings to the values for Snakemake's --config. Snakemake reads values as
# YAML, which includes JSON, but first strips quotes from their ends: hence the blanks. The trap lets the shell wait for
# its command if the terminal is closed.
QUOTED = $(BIN)/python -c 'import json, sys; print(json.dumps(sys.argv[1], ensure_ascii=False))'
CHOOSE = set -e; trap : HUP; dataset=$${DATASET:-$${MIRROR:+mnist}}; \
	[ -n "$$dataset" ] || dataset=$$($(BIN)/python -m bnpipe.choose); \
	name=$$($(BIN)/python -m bnpipe.data.sources "$$dataset"); \
	settings=("dataset= $$($(QUOTED) "$$dataset") "); \
	[ -z "$$SEEDS" ] || settings+=("seeds=$$SEEDS"); \
	[ -z "$$MIRROR" ] || settings+=("mirrors=[$$($(QUOTED) "$$MIRROR")]")
SNAKEMAKE = $(BIN)/python -m snakemake --quiet host rules reason
RUN = $(SNAKEMAKE) --config "$${settings[@]}"

# Shell functions: `from_lock FILE` installs what a lock file pins. uv takes seconds and pip takes minutes. uv does not
# read pip's settings, so it gets the index from here. If uv cannot be installed or finds no index, pip installs the
# packages. `cpu_torch` installs PyTorch without CUDA from PyTorch's own index, and fails if that cannot be reached. The
# hashes of these wheels are not in the lock files, so `from_lock` leaves out PyTorch and CUDA if .venv/.cpu exists.
INSTALL = set -e; pip() { $(BIN)/python -m pip install --no-user --quiet --disable-pip-version-check "$$@"; }; \
	uv=$$(grep -o '^uv==[0-9.]*' requirements-dev.lock || true); \
	[ -z "$$uv" ] || pip "$$uv" || uv=; \
	index=$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null || true)}; \
	by_uv() { [ -n "$$uv" ] && env $${index:+UV_DEFAULT_INDEX="$$index"} \
		$(BIN)/uv pip install --quiet --python $(BIN)/python "$$@"; }; \
	from_lock() { out=; [ ! -e .venv/.cpu ] || out='^(nvidia-|cuda-|triton=|torch=|torchvision=)'; \
		awk -v out="$$out" '/^[a-z]/ {left_out = out != "" && $$0 ~ out} !left_out' "$$1" >.venv/lock; \
		by_uv -r .venv/lock || { echo "uv cannot install the packages here, so pip does. This takes a few minutes."; pip -r .venv/lock; }; }; \
	cpu_torch() { by_uv --no-deps --torch-backend cpu $$(grep -oE '^torch(vision)?==[0-9.]+' requirements.lock) && \
		touch .venv/.cpu; }

# Python compiles a module to bytecode at its first import. One core does that while another compiles the training step,
# so that the first jobs need not do it.
IMPORTS = import altair, matplotlib.figure, pandas, sklearn.datasets, snakemake.cli

report: $(INSTALLED) ## set up, run all experiments and print where the report is (the default)
	@$(CHOOSE); $(RUN) --cores "$$CORES"; echo "Report: $$PWD/results/$$name/report.html"

demo: $(INSTALLED) ## run a small experiment on scikit-learn's digits and print where its report is (about a minute)
	@echo "A small experiment on scikit-learn's digits (demo/config.yaml): 52 networks, about a minute on two cores."
	@set -e; trap : HUP; $(SNAKEMAKE) --directory demo --workflow-profile profiles/default --cores "$$CORES"
	@echo "Report: $$PWD/demo/results/digits/report.html"
	@echo "Next: make. It runs all experiments on MNIST, about 10 minutes on two cores."

studies: $(INSTALLED) ## run all studies and print where their page is (more than an hour on two cores)
	@$(CHOOSE); $(RUN) --cores "$$CORES" -- studies; echo "Studies: $$PWD/results/$$name/studies.html"

paper-figures: $(INSTALLED) ## make the report's figures as PDF and its tables as LaTeX, for a paper
	@$(CHOOSE); $(RUN) --cores "$$CORES" -- exports; echo "Figures and tables: $$PWD/results/$$name/exports"

watch: $(INSTALLED) ## show the progress of a running grid, here or on a cluster, until it is done or Ctrl-C
	@$(CHOOSE); $(BIN)/python -m bnpipe.watch --follow --config "$${settings[@]}"

install: $(INSTALLED) ## only set up the virtual environment in .venv

fit: # refuse a path or a .venv that cannot work, before anything is downloaded
	@case $$PWD in *[\"\$$\`\\:{}]*|*$$'\n'*) \
		printf 'error: %s: expected a path without any of " $$ ` \\ : { } and line breaks; move the project\n' \
		"$${PWD//$$'\n'/ }" >&2; \
		exit 1;; esac
	@[ -e .venv -o -L .venv ] || exit 0; \
	refuse() { echo "error: .venv: expected $$1, got $$2; delete .venv, then run the same command again" >&2; exit 1; }; \
	version() { "$$1" -c '$(VERSION)' 2>/dev/null; }; \
	found=$$(version $(BIN)/python) || refuse "a Python that starts" "none"; \
	if [ -s $(INSTALLED) ]; then \
		{ read -r made; IFS= read -r folder; } <$(INSTALLED); \
		[ "$$found" = "$$made" ] || refuse "$$made, which its packages are for" "$$found"; \
		[ "$$folder" -ef . ] || refuse "one made in this folder" "one made in $$folder"; \
	fi; \
	if [ -n "$(PYTHON_IS_NAMED)" -o ! -e $(INSTALLED) ] && wanted=$$(version "$$PYTHON"); then \
		[ "$$found" = "$$wanted" ] || refuse "$$wanted, as PYTHON says" "$$found"; \
	fi

$(INSTALLED): requirements.lock pyproject.toml | fit
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "error: PYTHON: expected Python 3.11 or newer, got $$PYTHON ($$("$$PYTHON" --version 2>&1 | tail -n 1)); name one, as in make PYTHON=python3.12" >&2; \
		exit 1; }
	@case "$$TORCH" in cpu|cuda) ;; *) echo "error: TORCH: expected cpu or cuda, got $$TORCH" >&2; exit 1;; esac
	@if [ "$$TORCH" = cpu ]; then echo "Setting up .venv: downloads about 0.5 GB and takes 2 GB on disk (PyTorch without CUDA)."; \
	else echo "Setting up .venv: on Linux it downloads 3.2 GB and takes 6.2 GB on disk. If you have no NVIDIA GPU, make TORCH=cpu saves most of it."; fi
	"$$PYTHON" -m venv .venv
	@$(INSTALL); [ "$$TORCH" = cuda ] || cpu_torch || \
		echo "PyTorch's own index cannot be reached, so its usual build with CUDA is installed: a download of 3.2 GB."; \
	from_lock requirements.lock; pip --no-deps --no-build-isolation --editable .
	@echo "Compiling the training step. This takes about 40 seconds and is done once."
	@$(BIN)/python -c '$(IMPORTS)' & $(BIN)/python -m bnpipe.training.warm float32; status=$$?; wait; exit $$status
	@{ $(BIN)/python -c '$(VERSION)'; pwd; } >$@

$(DEVELOPER): requirements-dev.lock | $(INSTALLED)
	@echo "Installing the packages that tests and checks need: downloads 0.1 GB."
	@$(INSTALL); from_lock requirements-dev.lock
	@echo "Compiling the training step in double precision. This takes about 40 seconds and is done once."
	$(BIN)/python -m bnpipe.training.warm float64
	@touch $@

browser: $(DEVELOPER) ## install Debian's Chromium, as root, if there is no browser; without one the tests of the pages are skipped
	$(BIN)/python -m tests.browser.install

test: $(DEVELOPER) ## set up and run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-slurm: $(DEVELOPER) ## run the workflow on a Slurm cluster of two nodes on this machine (as root on Debian, about 16 minutes)
	OMP_NUM_THREADS=1 BNPIPE_TEST_SLURM=1 timeout --foreground --signal INT --kill-after 60 2700 $(BIN)/python -m pytest --durations=0 tests/slurm

test-faults: $(DEVELOPER) ## kill jobs and the command at random moments, fill the disk, and so on (about 7 minutes; disks need root)
	OMP_NUM_THREADS=1 BNPIPE_TEST_FAULTS=1 BNPIPE_TEST_KILLS="$$KILLS" timeout --foreground --signal INT --kill-after 60 1800 $(BIN)/python -m pytest --numprocesses auto --verbose --durations=0 tests/faults

test-gpu: $(if $(GPU_PYTHON),,$(INSTALLED)) ## check and measure training on an NVIDIA GPU (less than 9 minutes; GPU_PYTHON=python3 needs no .venv)
	@"$${GPU_PYTHON:-$(BIN)/python}" -m benchmarks.gpu

lint: $(DEVELOPER) ## check format, style, types and the workflow
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/python -m snakemake --lint

format: $(DEVELOPER) ## format all code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow

docs: $(DEVELOPER) ## build the documentation site in site/; a broken link is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --conf-dir docs . site
	@echo "Documentation: $$PWD/site/index.html"

bench: $(INSTALLED) ## compare the time of a training step with its alternatives (about 5 minutes)
	@$(CHOOSE); $(RUN) --cores 1 -- data; \
	$(BIN)/python -m benchmarks.training "resources/$$name/packed.safetensors"

bench-workflow: $(INSTALLED) ## measure where the time of the whole workflow goes (about 10 minutes)
	@$(CHOOSE); $(RUN) --cores 1 -- data; \
	$(BIN)/python -m benchmarks.workflow "resources/$$name/packed.safetensors" "$$dataset" $$(nproc)

LOCK = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header --quiet

lock: $(DEVELOPER) ## resolve the dependencies of pyproject.toml again
	$(LOCK) --upgrade --extra dev --extra docs --output-file requirements-dev.lock
	$(LOCK) --constraint requirements-dev.lock --output-file requirements.lock

schema: $(INSTALLED) ## write the files that are generated from the code: schema and reference of config.yaml, the analysis plan
	$(BIN)/python -m bnpipe.grid.config > docs/config.schema.json
	$(BIN)/python -m bnpipe.grid.reference > docs/configuration.md
	$(BIN)/python -m bnpipe.analysis.plan > docs/analysis-plan.md

help: ## list the targets
	@echo 'make [TARGET] [CORES=n] [DATASET=name-or-folder] [MIRROR=folder-or-URL] [SEEDS=n] [TORCH=cpu]'
	@sed -n 's/^\([a-z-]*\):.*## /  \1	/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
