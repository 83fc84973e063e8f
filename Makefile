# Everything a person types. CI calls `make test`, which sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp

.DEFAULT_GOAL := help
.PHONY: help setup learn-setup run check format lint types contracts unit test containers soak bench clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (once; a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

setup: $(STAMP)  ## make the .venv with everything but torch

learn-setup: $(STAMP)  ## add torch and onnx, for training agents and the tests marked learn
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,learn]'

run: $(STAMP)  ## the main job: quickstart on the bus, three schemes side by side
	@$(BIN)/edgerig demo

check: $(STAMP)  ## the quick loop: format, lint, types, import contracts, unit tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 3
	@$(BIN)/python -m pytest -q -n 2 -m "not slow and not processes and not soak and not containers" tests

format: $(STAMP)  ## rewrite to the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

test: $(STAMP)  ## all tests but the soak; those of containers where an engine can be had
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 3
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not processes and not soak and not learn and not containers" tests
	@$(BIN)/python -m pytest -m "processes and not soak" tests
	@$(BIN)/python -c "import torch" 2>/dev/null || $(MAKE) --no-print-directory learn-setup
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m learn tests/learn
	@$(BIN)/python -m pytest -m containers tests/containers

containers: $(STAMP)  ## the real compose.yaml on a container engine, and every panel's query
	@$(BIN)/python -c "import torch" 2>/dev/null || $(MAKE) --no-print-directory learn-setup
	@$(BIN)/python -m pytest -m containers tests/containers

soak: $(STAMP)  ## the kill matrix, twenty times in a row; 200 swaps in a row
	@$(BIN)/python -m pytest -m soak tests

bench: $(STAMP)  ## the figures of the README
	@$(BIN)/edgerig bench scheduler
	@$(BIN)/edgerig bench learning
	@$(BIN)/edgerig bench emulation
	@$(BIN)/edgerig bench bus

clean:  ## remove the .venv and run folders
	rm -rf $(VENV) runs
