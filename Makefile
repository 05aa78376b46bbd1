# make demo    the whole main job on real sample scans, into demo-work/report/index.html
# make test    the test suite
#
# Every target makes the environment it needs first; nothing has to be done by hand, nothing asks anything.
#   PYTHON=python3.12     the Python to use, 3.11 or newer
#   TORCH_ARGS="..."      more arguments for installing torch, such as --index-url for a CUDA or CPU-only build
#   ARGS="..."            more arguments for demo or pytest, as in: make test ARGS="tests/volumes -k nifti"

PYTHON ?= python3
VENV ?= .venv
TORCH_ARGS ?=
ARGS ?=
WORK ?= demo-work
JOBS ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install -c constraints.txt
# Two makes at once in one checkout take turns where the system has flock; the second finds the work done.
TURN := $(if $(shell command -v flock 2>/dev/null),flock .venv.lock)
DONE = test -e $@ && test -z "$$(find pyproject.toml constraints.txt -newer $@)"
# One thread a process: tests and demo run processes side by side.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-slow lint bench clean

help:
	@sed -n '/^$$/q;s/^# \{0,1\}//p' Makefile

# The stamps stand for "installed as pyproject.toml and constraints.txt say now". An installation that was killed
# leaves .installing behind and is begun anew. pip compiles on one core, compileall on all.
$(VENV)/.core: pyproject.toml constraints.txt
	@$(TURN) sh -ec '\
	  if $(DONE); then exit 0; fi; \
	  $(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || { \
	    echo "error: Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing);" \
	      "name another one, as in: make PYTHON=python3.12" >&2; exit 2; }; \
	  if test -e $(VENV)/.installing; then rm -rf $(VENV); fi; \
	  if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then echo "making $(VENV)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV); fi; \
	  trap "rm -f $(VENV)/.installing" EXIT; touch $(VENV)/.installing; \
	  echo "installing torch and the rest of the core: a minute or two, longer on a slow line"; \
	  $(PIP) --no-compile $(TORCH_ARGS) torch; \
	  $(PIP) --no-compile -qq hatchling; \
	  $(PIP) --no-compile -qq --no-build-isolation -e .; \
	  $(BIN)/python -m compileall -qq -j 0 -x "/tests?/|/torch/testing/_internal/" $(VENV)/lib; \
	  touch $@'

$(VENV)/.dev: $(VENV)/.core
	@$(TURN) sh -ec '\
	  if $(DONE) && test $@ -nt $<; then exit 0; fi; \
	  trap "rm -f $(VENV)/.installing" EXIT; touch $(VENV)/.installing; \
	  echo "installing what tests and checks need"; \
	  $(PIP) -qq --no-build-isolation -e ".[dev]"; \
	  touch $@'

venv: $(VENV)/.dev  ## .venv with the med3dinsight command and all that tests need

demo: $(VENV)/.core
	$(BIN)/med3dinsight demo $(WORK) $(ARGS)

test: $(VENV)/.dev
	$(ONE_THREAD) $(BIN)/python -m pytest -m "not slow" -n $(JOBS) $(ARGS)

test-slow: $(VENV)/.dev
	$(ONE_THREAD) $(BIN)/python -m pytest -m slow -n $(JOBS) $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.core
	@if ls benchmarks/p*.py >/dev/null 2>&1; then \
	  $(TURN) $(PIP) -qq --no-build-isolation -e ".[bench]" && \
	  for file in benchmarks/p*.py; do $(ONE_THREAD) $(BIN)/python "$$file" || exit; done; \
	else echo "there are no benchmarks yet"; fi

clean:
	rm -rf $(VENV) .venv.lock build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
