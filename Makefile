# Chandlery for people with a checkout. All that is needed: Python 3.11 or newer, and make.
#
#   make serve      the dashboard and the API, at http://127.0.0.1:8000/
#   make demo       a complete ingestion of a made-up exchange, reported and compared with the truth
#   make test       the fast tests
#   make test-all   every test
#   make test-postgres
#                   the fast tests with state in PostgreSQL, which scripts/postgres starts; SLOW=1: all of them,
#                   TESTS="tests/models …": some
#   make check      what has to pass before a commit: format, lint, types, import contracts, fast tests
#   make bench      the benchmark; all of it needs Java 17, Maven and wrk, and what cannot be measured counts as missed
#   make lock       newest versions into requirements/*.txt
#   make clean      away with .venv and all that was built; data stays
#
# Another Python: make PYTHON=/path/to/python3.11

PYTHON ?=
# 3.11 comes first: the locked versions are tested with it.
PYTHONS := $(or $(PYTHON),python3.11 python3 python3.12 python3.13 python3.14 python)
USABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))

# Two at a time, the files in their order: the long ones come first, and no worker is left alone with one at the end.
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input
LOCK := $(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock"

# Names what is installed: other requirements, or a checkout that was moved, make another name.
INSTALLED := $(VENV)/.installed-$(shell (pwd; cat requirements/dev.txt pyproject.toml) | cksum | tr ' \t' '--')

.PHONY: install serve demo test test-slow test-all test-postgres check format lint types contracts bench lock clean

install: $(INSTALLED)

serve: $(INSTALLED)
	@$(PY) manage.py serve

demo: $(INSTALLED)
	@$(PY) manage.py demo

test: $(INSTALLED)
	@$(PY) -m pytest $(BESIDE) -q

test-slow: $(INSTALLED)
	@$(PY) -m pytest $(BESIDE) -q -m slow

test-all: $(INSTALLED)
	@$(PY) -m pytest $(BESIDE) -q -m "slow or not slow"

# Without a server this fails: to fall back on SQLite would say nothing of PostgreSQL.
test-postgres: $(INSTALLED)
	@url="$$(scripts/postgres start)" && TEST_DATABASE_URL="$$url" \
		$(PY) -m pytest $(BESIDE) -q $(if $(SLOW),-m "slow or not slow") $(TESTS)

check: lint types contracts test

format: $(INSTALLED)
	@$(PY) -m ruff check --quiet --fix
	@$(PY) -m ruff format --quiet

lint: $(INSTALLED)
	@$(PY) -m ruff format --check
	@$(PY) -m ruff check

types: $(INSTALLED)
	@$(PY) -m mypy

contracts: $(INSTALLED)
	@$(VENV)/bin/lint-imports --no-logo

bench: $(INSTALLED)
	@$(PY) -m benchmarks

lock: $(INSTALLED)
	@$(PIP) install --quiet uv
	@$(LOCK) pyproject.toml --output-file requirements/base.txt
	@$(LOCK) pyproject.toml requirements/dev.in --extra postgres --extra questdb --extra web \
		--output-file requirements/dev.txt
	@$(LOCK) pyproject.toml requirements/server.in --extra postgres --extra questdb --extra web \
		--output-file requirements/server.txt

clean:
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED):
	@$(PY) -c "import pip; $(USABLE)" 2>/dev/null || { \
		for python in $(PYTHONS); do \
			if "$$python" -c "$(USABLE)" 2>/dev/null; then rm -rf $(VENV); exec "$$python" -m venv $(VENV); fi; \
		done; \
		echo "No usable Python among: $(PYTHONS). Needed is 3.11 or newer with its venv module; name one: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; \
	}
	@echo "Installing into $(VENV) …"
	@$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-*
	@touch $@
