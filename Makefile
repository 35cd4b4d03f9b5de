# Two commands do all set-up: `make quickstart` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: help quickstart test lint bench bench-peers clean
help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.quickstart: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[quickstart]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,quickstart]'
	@touch $@

quickstart: $(VENV)/.quickstart  ## install, prepare real purchases, train DIEN, print the metrics, write a report
	$(BIN)/python examples/quickstart.py

test: lint  ## everything that guards the project
	$(BIN)/pytest --numprocesses 2 --dist worksteal

lint: $(VENV)/.dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev  ## test AUC over three seeds: make bench REVIEWS=reviews.json.gz META=meta.json.gz
	$(BIN)/python benchmarks/amazon.py --reviews $(REVIEWS) --meta $(META)

bench-peers: $(VENV)/.dev  ## speed against other implementations, each in an environment of its own under .peers
	$(BIN)/python benchmarks/peers/install.py
	$(BIN)/python benchmarks/peers/compare.py --out comparison.json

clean:  ## remove what the other targets made
	rm -rf $(VENV) .peers runs data build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
