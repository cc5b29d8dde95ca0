# `make train`: the demo, from nothing to official scores.  `make test`: what needs Python alone.
# `make test-system`: the tests that need a browser, an MQTT broker or minutes (.ci/install_system; skipped without).
# `make docs`: the documentation as a site, in build/site.
# ARGS passes options on:  make train ARGS="--config my_recipe.yaml --seed 1"
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := HF_HUB_OFFLINE=1 HF_EVALUATE_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: install train test test-system lint docs clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and f'Python >= 3.11 is needed, this is {sys.version.split()[0]}: make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable .[dev]
	touch $@

train: install
	$(BIN)/accelerate launch --quiet train_accelerate.py $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: install
	$(BIN)/mkdocs build --quiet --strict

test: lint
	$(PYTEST) -m "not system" $(ARGS)

test-system: install
	$(PYTEST) -m system $(ARGS)

clean:
	rm -rf $(VENV) build dist outputs
