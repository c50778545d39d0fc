# Everything starts with `make setup`, which needs Python 3.11 or newer and nothing else.
# A Kafka is found by local/kafka.py: ONHAND_KAFKA, or Docker, or Java 17 and Maven.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
READY := $(VENV)/.ready
COMPILED := $(VENV)/.compiled
MARKED ?= not soak
REALTIME ?=

.PHONY: setup demo test lint types contract unit simulation integration e2e smoke soak bench compare bench-check contracts lock clean

setup: $(READY) $(COMPILED)

$(READY): requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing; install Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "error: Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV) || { echo "error: $(PYTHON) cannot make virtual environments; install its venv module"; exit 1; }
	@echo "installing dependencies into $(VENV) ..."
	@$(RUN) pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@touch $@

# Without a C compiler all works the same, and slower: that is said, and no failure.
$(COMPILED): $(READY) $(wildcard */native/*.pyx */native/*.pxd) local/native.py
	@$(RUN) local.native
	@touch $@

demo: setup
	@$(RUN) examples.demo

test: lint types contract unit simulation integration e2e smoke

lint: setup
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types: setup
	$(RUN) mypy

contract: setup
	$(VENV)/bin/lint-imports

unit: setup
	$(RUN) pytest tests/unit

simulation: setup
	$(RUN) pytest tests/simulation -m "$(MARKED)"

integration: setup
	$(RUN) pytest tests/integration -m "$(MARKED)"

e2e: setup
	$(RUN) pytest tests/e2e -m "$(MARKED)"

smoke: setup
	$(RUN) pytest tests/smoke -m "$(MARKED)"

soak: setup
	$(RUN) pytest tests -m soak

# `make bench REALTIME=--realtime` has reads and freshness real-time, where the system permits it.
bench: setup
	$(RUN) benchmarks ingest
	$(RUN) benchmarks read --rate 1000 --ingest 5000 $(REALTIME)
	$(RUN) benchmarks reads
	$(RUN) benchmarks freshness $(REALTIME)
	$(RUN) benchmarks recovery
	$(RUN) benchmarks faults

compare: setup
	$(RUN) benchmarks compare

bench-check: setup
	@test -n "$(BASE)" || { echo "usage: make bench-check BASE=<commit>"; exit 1; }
	$(RUN) benchmarks compare-commits $(BASE)

contracts: setup
	$(RUN) local.contracts

lock: setup
	$(RUN) pip install --quiet pip-tools
	$(RUN) piptools compile --quiet --strip-extras --allow-unsafe --no-header --extra bench --extra build --extra demo --extra test \
		--generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build */native/*.so .local .mypy_cache .ruff_cache .hypothesis
