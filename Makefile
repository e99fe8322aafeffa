# `make demo`, `make test`, and `make prove` for the long proofs. Each installs what it needs, and says so.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: demo test prove mutants lint bench clean system-test

demo: $(VENV)/.run
	@$(BIN)/commons demo

test: $(VENV)/.dev system-test
	@$(BIN)/python tests/run.py

prove: $(VENV)/.dev system-test
	@$(BIN)/python tests/run.py --prove

mutants: $(VENV)/.dev
	@$(BIN)/python tests/mutants/run.py

lint: $(VENV)/.dev
	@$(BIN)/python tests/run.py lint types layering

bench: $(VENV)/.dev system-test
	@$(BIN)/python benchmarks/run.py

# A virtual environment; Debian keeps the module that makes one in a package of its own.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "installing python3-venv with apt"; \
	  $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq python3-venv; }
	@echo "making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python requirements.lock pyproject.toml
	@echo "installing Python packages from requirements.lock"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python requirements-dev.lock pyproject.toml
	@echo "installing Python packages from requirements-dev.lock"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $(VENV)/.run $@

system-test:
	@{ command -v mosquitto || [ -x /usr/sbin/mosquitto ]; } >/dev/null && \
	  command -v mosquitto_pub >/dev/null || { \
	  echo "installing mosquitto and mosquitto-clients with apt"; \
	  $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq mosquitto mosquitto-clients; \
	  $(SUDO) systemctl disable --now mosquitto 2>/dev/null || true; }
	@ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || { \
	  echo "installing faketime with apt"; \
	  $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq faketime; }
	@command -v ip >/dev/null || { \
	  echo "installing iproute2 with apt"; \
	  $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq iproute2; }
	@command -v cc >/dev/null || { \
	  echo "installing gcc and libc6-dev with apt"; \
	  $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq gcc libc6-dev; }

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
