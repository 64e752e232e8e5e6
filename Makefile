PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo gallery test docs lower-bounds check bench gpu sbom wheel clean

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

install: $(VENV)/.installed

demo: install
	$(BIN)/tailscape demo

# trains the gallery's runs into runs/gallery, draws every kind, writes docs/gallery.md
gallery: install
	OMP_NUM_THREADS=1 $(BIN)/python docs/gallery.py

# two processes of one thread each
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations=20

# site/, which opens from disk
docs: install
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lower-bounds:
	.ci/lower-bounds

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

gpu:
	PYTHONPATH=. $(PYTHON) -m tests.benchmarks.gpu $(GPU)

bench: install
	$(BIN)/python -m pip install --quiet --editable '.[peers]'
	$(BIN)/python -m tests.benchmarks.curvature

# what an installation holds, as CycloneDX: sbom.cdx.json; the tool that writes it stands apart
sbom:
	$(PYTHON) -m venv --clear .venv-sbom/own
	.venv-sbom/own/bin/python -m pip install --quiet --constraint .ci/constraints.txt .
	$(PYTHON) -m venv --clear .venv-sbom/tool
	.venv-sbom/tool/bin/python -m pip install --quiet cyclonedx-bom
	.venv-sbom/tool/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
		--output-format JSON --output-file sbom.cdx.json .venv-sbom/own/bin/python

# dist/, the same bytes wherever a commit is built
wheel:
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(PYTHON) -m pip wheel --quiet --no-deps -w dist .

clean:
	rm -rf site $(VENV) .venv-sbom .venv-lower .mypy_cache .ruff_cache .pytest_cache
