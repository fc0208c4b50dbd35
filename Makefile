# A fresh machine needs Python 3.11 or newer with venv, make and a C library. No root, no system Redis.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: all demo test run bench bench-100k bench-million setup lint types arch unit pure rest cov fmt clean help

all: test

help: ## what each target does
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: $(READY) ## gateway, embedded Valkey, 2,000 simulated phones and a publisher; a table; nothing left running
	@$(BIN)/loadtest run smoke --serve

test: lint types arch unit ## lint, types, layers and all tests

run: $(READY) ## the gateway in the foreground on 127.0.0.1:8800 (EAS) and 127.0.0.1:8801 (admin)
	@$(BIN)/pushgw serve

bench: $(READY) ## memory, CPU and latency of 15,000 held Pings beside a plain aiohttp handler and Nchan; 5 minutes
	@$(BIN)/loadtest bench

bench-100k: $(READY) ## the same of 100,000 held by six workers, and their return after a restart; 15 minutes
	@$(BIN)/loadtest bench-100k

bench-million: $(READY) ## a million held Pings on this machine, phones and all; 30 minutes, 20 GB
	@$(BIN)/loadtest bench-million

setup: $(READY) ## only build the environment

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "building the environment in $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,report]'
	@touch $@

lint: $(READY) ## ruff, codespell, one sentence for each test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell
	@$(BIN)/interrogate --quiet tests

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

arch: $(READY) ## the layers, checked by import-linter
	@$(BIN)/lint-imports

unit: pure rest ## all tests

# The pure core is covered by its own tests alone, every branch of it.
PURE := pushgw/wbxml/*,pushgw/eas/*,pushgw/session.py,pushgw/brake.py,pushgw/wire.py,pushgw/room.py,pushgw/waiters.py,pushgw/share.py,heartbeat/interval.py,heartbeat/deadlines.py,notifier/change.py,notifier/subscriptions.py,loadtest/scenario/*,loadtest/wire/*,loadtest/phones/account.py,loadtest/figures.py,loadtest/result.py,loadtest/nearest.py,loadtest/wording.py,loadtest/moments.py,loadtest/faulty/faults.py,loadtest/faulty/mailboxes.py,loadtest/faulty/findings.py,loadtest/profiles/*,loadtest/judging/*,loadtest/screen/*,loadtest/capacity/*,loadtest/reports/*,loadtest/benching/rows.py,loadtest/benching/small_rows.py,loadtest/benching/hundred_rows.py,loadtest/benching/rivals/nchan_wire.py
PURE_TESTS := tests/pushgw/wbxml tests/pushgw/eas tests/pushgw/test_session.py tests/pushgw/test_brake.py \
	tests/pushgw/test_wire.py tests/pushgw/test_room.py tests/pushgw/test_waiters.py tests/pushgw/test_share.py tests/heartbeat/test_interval.py tests/heartbeat/test_deadlines.py \
	tests/notifier/test_change.py tests/notifier/test_subscriptions.py \
	tests/loadtest/scenario tests/loadtest/wire tests/loadtest/phones/test_account.py tests/loadtest/test_figures.py \
	tests/loadtest/test_result.py tests/loadtest/test_nearest.py tests/loadtest/test_wording.py tests/loadtest/test_moments.py \
	tests/loadtest/faulty/test_faults.py tests/loadtest/faulty/test_mailboxes.py tests/loadtest/faulty/test_findings.py tests/loadtest/profiles tests/loadtest/judging \
	tests/loadtest/screen tests/loadtest/capacity tests/loadtest/reports \
	tests/loadtest/benching/test_rows.py tests/loadtest/benching/test_small_rows.py tests/loadtest/benching/test_hundred_rows.py \
	tests/loadtest/benching/test_nchan_wire.py

pure: $(READY) ## the pure core's tests; all of its branches must be covered
	@$(BIN)/coverage run --data-file=.coverage.pure -m pytest -q $(PURE_TESTS)
	@$(BIN)/coverage report --data-file=.coverage.pure --include='$(PURE)' --fail-under=100

rest: $(READY) ## all other tests
	@$(BIN)/python -m pytest -q $(PURE_TESTS:%=--ignore=%)

cov: $(READY) ## all tests in one run with branch coverage of everything
	@$(BIN)/coverage run -m pytest -q
	@$(BIN)/coverage report --fail-under=95

fmt: $(READY) ## format and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove what the other targets made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage bench
	@find . -name __pycache__ -prune -exec rm -rf {} +
