# `make` lists the targets. Nothing but Python 3.11+ and make has to be there beforehand.
# Written for GNU Make 3.81, which macOS still ships: no .ONESHELL.

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links pyproject.toml

# The official JavaScript SDK for the conformance tests, where there is Node. Without it they are
# left out, and the summary of the run says so.
SDK := tests/conformance/javascript

# $(call stage,<command>) runs the command and says how long it took.
stage = @echo "▶ $(1)"; start=$$(date +%s); $(1) && echo "  $$(($$(date +%s) - start)) s"

.DEFAULT_GOAL := help
.PHONY: help up reset check test test-long test-quick fuzz faults bench bench-quick lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

up: $(VENV)/.installed ## Run everything: PostgreSQL, the API on :9000, realtime on :8000
	@$(BIN)/python -m embedded

reset: $(VENV)/.installed ## Delete the data of `make up`, after asking
	@$(BIN)/python -m embedded reset

check: $(VENV)/.installed-dev ## Lint, formatting, types, import directions, missing migrations
	$(call stage,$(BIN)/ruff check .)
	$(call stage,$(BIN)/ruff format --check .)
	$(call stage,$(BIN)/mypy)
	$(call stage,$(BIN)/lint-imports)
	$(call stage,$(BIN)/python -m tests.architecture.sizes)
	$(call stage,DEBUG=1 $(BIN)/python manage.py makemigrations --check --dry-run)

test: check $(SDK)/node_modules/.installed ## The checks, then every kind of test; 8 minutes
	$(call stage,$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not long")

# Each trial has bounds in seconds and keeps both cores busy, so nothing runs beside it.
test-long: $(VENV)/.installed-dev ## The long series that `make test` leaves out; 5 minutes
	$(call stage,$(BIN)/pytest -m long)

test-quick: $(VENV)/.installed-dev ## The tests that take less than three seconds each
	$(call stage,$(BIN)/pytest -n $(WORKERS) -m "not slow and not long")

fuzz: $(VENV)/.installed-dev ## 100,000 random requests against a real server; at most 30 minutes
	@$(BIN)/python -m tests.fuzz

faults: $(VENV)/.installed-dev ## Every fault, three times, under traffic; about an hour, as root
	@$(BIN)/python -m tests.faults

bench: $(VENV)/.installed ## Measure every path beside its limit; at most 8 minutes
	@$(BIN)/python -m benches $(ARGS)

bench-quick: $(VENV)/.installed ## The same, shorter and with less data; at most 90 seconds
	@$(BIN)/python -m benches --quick $(ARGS)

lock: $(VENV)/.installed-dev ## Resolve pyproject.toml: production, `make up`, everything
	$(LOCK) -o requirements.lock
	$(LOCK) --extra embedded -c requirements.lock -o requirements-embedded.lock
	$(LOCK) --extra embedded --group dev -c requirements-embedded.lock -o requirements-dev.lock

# The stamp, not bin/python, says that the environment is whole: making it can be interrupted.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is: $$($(PYTHON) --version 2>&1)" >&2; \
		echo "Name another one, for example: make up PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) lacks its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; \
		exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: requirements-embedded.lock $(VENV)/.created
	@echo "Installing requirements-embedded.lock into $(VENV) …"
	@$(PIP) -r requirements-embedded.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.created
	@echo "Installing requirements-dev.lock into $(VENV) …"
	@$(PIP) -r requirements-dev.lock
	@touch $@ $(VENV)/.installed

$(SDK)/node_modules/.installed: $(SDK)/package-lock.json
	@mkdir -p $(dir $@)
	@if command -v npm >/dev/null; then \
		echo "Installing the JavaScript SDK …"; \
		npm ci --prefix $(SDK) --no-audit --no-fund --loglevel=error; \
	else echo "There is no npm: the JavaScript SDK is not tested."; fi
	@mkdir -p $(dir $@) && touch $@
