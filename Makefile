# `make quickstart` and `make test` install what they need by themselves.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# RecBole needs Python 3.10 or 3.11: make test-recbole RECBOLE_PYTHON=python3.11
RECBOLE_PYTHON ?= $(PYTHON)
RECBOLE_VENV   ?= .recbole-venv
# Waiting threads go to sleep soon, as in dien's commands: spinning is many times slower on a busy machine.
export GOMP_SPINCOUNT ?= 1000

.PHONY: help quickstart test test-recbole test-asan lint frontend docs bench bench-files bench-recbole bench-peers clean
help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.quickstart: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[quickstart,serve]'
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

test: lint  ## style, types and all tests
	$(BIN)/pytest --numprocesses 2 --dist worksteal

test-recbole: $(RECBOLE_VENV)/.done  ## the drop-in against RecBole, and all other tests with the old packages that RecBole needs
	$(RECBOLE_VENV)/bin/pytest --numprocesses 2 --dist worksteal --disable-warnings

# The C++ with AddressSanitizer and UBSan, in a copy of the package of its own.
ASAN     := build/asan
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CPP      := $(shell find src/dien/ops -name '*.cpp')
HEADERS  := $(shell find src/dien/ops -name '*.h')
OBJECTS  := $(CPP:src/%.cpp=$(ASAN)/objects/%.o)

$(ASAN)/objects/%.o: src/%.cpp $(HEADERS)
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -O1 -g1 -fPIC -fno-math-errno -fvisibility=hidden -w $(SANITIZE) -Isrc/dien/ops -c $< -o $@

$(ASAN)/kernels.so: $(OBJECTS)
	$(CXX) -shared $(SANITIZE) $^ -o $@

test-asan: $(VENV)/.dev  ## the tests of the operators, their C++ built with AddressSanitizer and UBSan by g++
	$(MAKE) --jobs 2 $(ASAN)/kernels.so
	rm -rf $(ASAN)/dien && cp -r src/dien $(ASAN)
	cp $(ASAN)/kernels.so $(ASAN)/dien/ops/cpu/_kernels.so
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH=$(ASAN) \
		$(BIN)/python -m pytest --numprocesses 2 --dist worksteal tests/ops

lint: $(VENV)/.dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

frontend:  ## the charts of pages, built into the package from frontend/; Node.js 20 or later
	npm ci --prefix frontend --no-audit --no-fund
	npm run --prefix frontend --silent build

docs: $(VENV)/.docs  ## the documentation as a site, in build/docs; Python 3.11 or later
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/docs/index.html"

# This is checked before anything is installed.
bench-files:
	$(if $(and $(REVIEWS),$(META)),@:,$(error make bench needs REVIEWS and META, Amazon's files of Beauty, \
		as in: make bench REVIEWS=reviews_Beauty_5.json.gz META=meta_Beauty.json.gz))

bench: bench-files $(VENV)/.dev  ## the paper's table with five seeds: make bench REVIEWS=reviews_Beauty_5.json.gz META=meta_Beauty.json.gz
	$(BIN)/python benchmarks/table.py --data 5 --config amazon-beauty --out tables/beauty -- \
		amazon --reviews $(REVIEWS) --meta $(META)

bench-recbole: $(RECBOLE_VENV)/.done  ## MovieLens-100k in RecBole: its DIEN, ours, ours with the paper's preset; takes hours
	$(RECBOLE_VENV)/bin/python benchmarks/recbole_ml100k.py

bench-peers: $(VENV)/.dev  ## speed against other implementations, each in its own environment in .peers
	$(BIN)/python benchmarks/peers/install.py
	$(BIN)/python benchmarks/peers/compare.py --out comparison.json

clean:  ## remove what the other targets have made
	rm -rf $(VENV) $(RECBOLE_VENV) .peers runs data build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
