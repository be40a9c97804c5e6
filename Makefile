# kdlab from a fresh clone: `make run` and `make test` need Python >= 3.10 and make, nothing else.
#
#   PYTHON=python3.12       the interpreter that .venv is made with
#   VENV=path               another place for the environment
#   ARGS="--task sst2"      handed on to run, the tests and bench
#
# pip takes torch from the index you have set. For the small CPU build on Linux:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make install

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# tests run side by side, one worker a core; WORKERS= runs them one after the other
WORKERS ?= -n auto --dist worksteal
# threads that spin while they wait slow a shared machine down many times
export OMP_WAIT_POLICY ?= PASSIVE
BIN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test test-full test-slow format lint types check architecture bench bench-peers bench-lexical bench-attacks clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## make the environment: the tested versions, kdlab itself editable

# Done again only when what is to be installed has changed, or the interpreter that .venv points to has gone.
ifneq ($(shell test -x "$(BIN)" && echo there),there)
.PHONY: $(STAMP)
endif
$(STAMP): pyproject.toml constraints.txt
	@if ! "$(BIN)" -m pip --version >/dev/null 2>&1; then \
	  command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	    echo "kdlab needs Python 3.10 or newer, and there is no '$(PYTHON)' here: install it, or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }; \
	  "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo "kdlab needs Python 3.10 or newer, but '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1): name a newer one: make PYTHON=python3.11" >&2; exit 1; }; \
	  "$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "'$(PYTHON)' can't make virtual environments: install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }; \
	  echo "Making $(VENV) and installing into it; the first time takes some minutes."; \
	  if [ -f "$(VENV)/pyvenv.cfg" ]; then clear=--clear; else clear=; fi; \
	  "$(PYTHON)" -m venv $$clear "$(VENV)" || exit 1; \
	fi
	@"$(BIN)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "$(VENV) holds a Python older than 3.10: remove it (make clean), then: make PYTHON=python3.11" >&2; exit 1; }
	"$(BIN)" -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch "$@"

run: $(STAMP) ## distil a teacher into a student on RTE with MixKD (ARGS="..." overrides)
	"$(BIN)" -m kdlab.run --method mixkd --task rte $(ARGS)

test: $(STAMP) ## the tests that need neither network nor minutes
	OMP_NUM_THREADS=1 "$(BIN)" -m pytest -m "not slow and not full" $(WORKERS) $(ARGS)

test-full: $(STAMP) ## the costlier ones: runs started by torchrun, corpora and the encoder that are shipped, sweeps
	OMP_NUM_THREADS=1 "$(BIN)" -m pytest -m "full and not slow" $(WORKERS) $(ARGS)

test-slow: $(STAMP) ## the tests on real data, a real encoder, or with minutes of training
	"$(BIN)" -m pytest -m slow $(ARGS)

format: $(STAMP) ## rewrite the code in the house's layout
	"$(BIN)" -m ruff format .
	"$(BIN)" -m ruff check --fix .

lint: $(STAMP) ## layout and lint, changing nothing
	"$(BIN)" -m ruff format --check .
	"$(BIN)" -m ruff check .

types: $(STAMP) ## mypy, strict
	"$(BIN)" -m mypy

check: lint types test ## the whole gate: lint, types, test (CI runs test-full as well)

architecture: ## the rooms of kdlab, their floors, who imports whom, and circles
	@"$(PYTHON)" tests/architecture.py

bench: $(STAMP) ## speed and memory against loops written by hand, as ratios
	"$(BIN)" -m experiments.benchmarks $(ARGS)

# kdlab beside Hugging Face's Trainer and TextBrewer, which have an environment of their own
PEERS := .venv-peers
$(PEERS)/.installed: experiments/peers/requirements.txt
	"$(PYTHON)" -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install -q --disable-pip-version-check -r experiments/peers/requirements.txt
	@touch "$@"

bench-peers: $(STAMP) $(PEERS)/.installed ## whole processes beside the Trainer and TextBrewer, in an environment of theirs
	"$(BIN)" -m experiments.peers --python $(PEERS)/bin/python $(ARGS)

TEXTATTACK := .venv-textattack
$(TEXTATTACK)/.installed: experiments/peers/textattack.txt
	"$(PYTHON)" -m venv --clear $(TEXTATTACK)
	$(TEXTATTACK)/bin/python -m pip install -q --disable-pip-version-check -r experiments/peers/textattack.txt
	@touch "$@"

bench-lexical: $(STAMP) $(TEXTATTACK)/.installed ## lexical augmenters beside TextAttack's, in an environment of its own
	"$(BIN)" -m experiments.peers.lexical --python $(TEXTATTACK)/bin/python $(ARGS)

bench-attacks: $(STAMP) $(TEXTATTACK)/.installed ## attacks beside TextAttack's, in the same environment of its own
	"$(BIN)" -m experiments.peers.attacks --python $(TEXTATTACK)/bin/python $(ARGS)

clean: ## remove .venv, caches and build outputs of this repository
	rm -rf .venv $(PEERS) $(TEXTATTACK) .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
	find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
