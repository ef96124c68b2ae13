# make setup: a virtual environment in .venv with Mixling and its tools; make demo; make test.
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.mixling-ready

.PHONY: setup demo test lint clean

setup: $(STAMP)

# torch comes first and pinned: left to a resolver it would bring gigabytes of CUDA.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: setup
	$(BIN)/mixling demo

test: setup lint
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check src tests benchmarks docs studies
	$(BIN)/mypy

clean:
	rm -rf .venv demo runs
