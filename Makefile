# One word per job. On a machine with only Python and make, `make demo` and `make test` just work.

PYTHON ?= python3
# Another interpreter gets an environment of its own: `make bench PYTHON=python3.12`.
VENV ?= .venv$(if $(filter-out python3,$(PYTHON)),-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
PY := $(VENV)/bin/python
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test coverage test-slow check format bench bench-quick bench-remote docs clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo ## Real terrain as a multiscale group: write, reopen, read, draw
	$(PY) -m examples.demo

test: $(VENV)/.test ## Tests
	$(PY) -m pytest -n $(WORKERS)

coverage: $(VENV)/.test ## The same with coverage, which takes half as long again; too little of it is an error
	$(PY) -m pytest -n $(WORKERS) --cov

test-slow: $(VENV)/.test ## The tests marked slow
	$(PY) -m pytest -m slow --timeout 1200

check: $(VENV)/.test $(VENV)/.dev ## Lint, format and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

format: $(VENV)/.dev ## Apply the format and the safe lint fixes
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

bench: $(VENV)/.bench ## storekit beside its peers and the bare loop, minutes; writes the page
	$(PY) -m benchmarks --parts times memory profile growth remote --json bench.json
	$(PY) -m benchmarks.page bench.json

bench-quick: $(VENV)/.bench ## The same on smaller data, under a minute
	$(PY) -m benchmarks --quick

bench-remote: $(VENV)/.bench ## Only what reads over HTTP, a minute or two; writes its part of the page
	$(PY) -m benchmarks --parts remote --json bench-remote.json
	$(PY) -m benchmarks.page bench-remote.json

docs: $(VENV)/.test $(VENV)/.docs ## Run the examples in the pages, build the site
	$(PY) -m pytest tests/test_docs.py
	$(VENV)/bin/mkdocs build --strict

clean: ## Remove everything that the other targets made
	rm -rf .venv .venv-* site dist build bench.json bench-remote.json demo-output .coverage .coverage.*
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp per extra: what it installs is current as long as pyproject.toml is older than the stamp.
$(VENV)/.%: pyproject.toml | $(PY)
	$(PY) -m pip install --quiet --editable '.[$*]'
	@touch $@

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "storekit needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
