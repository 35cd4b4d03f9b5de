# Two commands do all set-up: `make quickstart` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# RecBole runs on Python 3.10 and 3.11 alone: make test-recbole RECBOLE_PYTHON=python3.11
RECBOLE_PYTHON ?= $(PYTHON)
RECBOLE_VENV   ?= .recbole-venv
# Threads that wait soon sleep, as in dien's commands: beside other processes, spinning costs a multiple.
export GOMP_SPINCOUNT ?= 1000

.PHONY: help quickstart test test-recbole lint docs bench bench-files bench-recbole bench-peers clean
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

$(VENV)/.docs: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

$(RECBOLE_VENV)/.done: tests/recbole/requirements.txt pyproject.toml constraints.txt
	$(RECBOLE_PYTHON) -m venv --clear $(RECBOLE_VENV)
	grep -vE '^(numpy|pandas|pyarrow)==' constraints.txt > $(RECBOLE_VENV)/constraints.txt
	$(RECBOLE_VENV)/bin/pip install --quiet --constraint $(RECBOLE_VENV)/constraints.txt \
		--requirement tests/recbole/requirements.txt --editable '.[recbole]'
	@touch $@

quickstart: $(VENV)/.quickstart  ## install, prepare real purchases, train DIEN, print the metrics, write a report
	$(BIN)/python examples/quickstart.py

test: lint  ## everything that guards the project
	$(BIN)/pytest --numprocesses 2 --dist worksteal

test-recbole: $(RECBOLE_VENV)/.done  ## the drop-in against RecBole, and all else on the old packages RecBole needs
	$(RECBOLE_VENV)/bin/pytest --numprocesses 2 --dist worksteal --disable-warnings

lint: $(VENV)/.dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs  ## the documentation as a site, in build/docs; Python 3.11 or later
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/docs/index.html"

# Asked for before anything is installed.
bench-files:
	$(if $(and $(REVIEWS),$(META)),@:,$(error make bench needs REVIEWS and META, Amazon's files of Beauty, \
		as in: make bench REVIEWS=reviews_Beauty_5.json.gz META=meta_Beauty.json.gz))

bench: bench-files $(VENV)/.dev  ## the paper's table with five seeds: make bench REVIEWS=reviews_Beauty_5.json.gz META=meta_Beauty.json.gz
	$(BIN)/python benchmarks/table.py --data 5 --config amazon-beauty --out tables/beauty -- \
		amazon --reviews $(REVIEWS) --meta $(META)

bench-recbole: $(RECBOLE_VENV)/.done  ## ml-100k in RecBole: its DIEN, ours, ours with the paper's preset; hours
	$(RECBOLE_VENV)/bin/python benchmarks/recbole_ml100k.py

bench-peers: $(VENV)/.dev  ## speed against other implementations, each in an environment of its own under .peers
	$(BIN)/python benchmarks/peers/install.py
	$(BIN)/python benchmarks/peers/compare.py --out comparison.json

clean:  ## remove what the other targets made
	rm -rf $(VENV) $(RECBOLE_VENV) .peers runs data build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
