PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo test check bench gpu clean

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

install: $(VENV)/.installed

demo: install
	$(BIN)/tailscape demo

test: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

gpu:
	PYTHONPATH=. $(PYTHON) -m tests.benchmarks.gpu $(GPU)

bench: install
	$(BIN)/python -m pip install --quiet --editable '.[peers]'
	$(BIN)/python -m tests.benchmarks.curvature

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
