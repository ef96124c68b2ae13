# make setup: a virtual environment in .venv with Mixling and its tools; make demo; make test; make bench.
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.mixling-ready

.PHONY: setup demo test lint bench bench-all clean

setup: $(STAMP)

# torch comes first and pinned: left to a resolver it would bring gigabytes of CUDA.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing torch, then Mixling with its tools: some minutes, a few gigabytes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: setup
	$(BIN)/mixling demo

# Three processes of one thread each on two cores: much of the suite waits for servers. What they
# run together, and in what order, is in tests/conftest.py. Each process would compile Mixling and
# the tests anew if none might keep what it compiled.
test: setup lint
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Some twelve minutes on two slow cores; nothing else should run meanwhile.
bench: setup
	for name in metrics balance training; do $(BIN)/python -m benchmarks.$$name || exit 1; done

bench-all: bench
	for name in parts encoding matrix large_batch calls schedule growth terms report; do $(BIN)/python -m benchmarks.$$name || exit 1; done

clean:
	rm -rf .venv demo runs
