# Everything runs in a virtual environment of its own, .venv, which the first target that needs it makes.
# `make` alone prints the targets. A line of help stands behind each target.
#
# Tests and training need torch; `make demo` and `make core` do not. On Linux, PyPI's torch brings CUDA with it (several
# GB). The CPU build is much smaller:
#
#   make test TORCH_INDEX=https://download.pytorch.org/whl/cpu
#
# A torch that is in .venv already, of the version in constraints.txt and of whatever build, is kept.

PYTHON ?= python3
TORCH_INDEX ?=
PYTEST_ARGS ?=
KODAK_ARGS ?=
CHECKPOINT ?=
MODELS ?= tacit-s
SMOKE_PYTHONS ?= $(BIN)/python
FUZZ ?= container info decode image metadata shard
FUZZ_ARGS ?= -max_total_time=60
# One process of tests per core. Each has one torch thread: more would only wait for each other.
WORKERS ?= auto

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TORCH := $(shell sed -n 's/^\(torch==[^ ;]*\).*/\1/p' constraints.txt)
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal
SOURCES := src tests benchmarks scripts examples fuzz

.DEFAULT_GOAL := help
.PHONY: help demo docs docs-serve gallery js bulk-demo test core check quick dist lint format coverage fuzz speed kodak effort freezing man page readme results studies clean

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

# The viewer is in them if js/ was built. The source distribution makes the wheel, so both are tried.
dist: .venv/installed-release ## build the wheel and the source distribution, check them, and try them in clean environments
	rm -rf dist
	$(if $(shell command -v npm),$(MAKE) js,@echo "npm is not here: the viewer is not in these files" >&2)
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python scripts/smoke.py dist/* --python $(SMOKE_PYTHONS)

demo: .venv/installed-demo ## compress sample photographs and make a page of them, demo/index.html
	$(BIN)/tacit demo --output demo

js: ## build the decoder for browsers, and put its viewer into the package (needs Node.js)
	cd js && npm ci --no-audit --no-fund && npm run check && npm run build
	rm -rf src/tacit/viewer/static
	cp -r js/dist src/tacit/viewer/static

bulk-demo: .venv/installed-bulk,demo ## compress a small data set shard by shard on Ray, and restore it, in bulk-demo/
	rm -rf bulk-demo
	$(BIN)/python scripts/bulk_demo.py bulk-demo/photos
	$(BIN)/tacit bulk bulk-demo/photos bulk-demo/small --to tar --shard-size 6 --verify
	$(BIN)/tacit bulk bulk-demo/photos bulk-demo/small --to tar --shard-size 6
	$(BIN)/tacit bulk --decode bulk-demo/small bulk-demo/restored --to folder

test: .venv/installed-dev ## run all tests; a part of them by PYTEST_ARGS="tests/codec -k psnr"
	$(PYTEST) --durations 20 $(PYTEST_ARGS)

core: .venv/python ## test what works without torch, in an environment of its own whose size is measured
	$(BIN)/python scripts/core.py build/core

check: lint quick ## run the linters and the quick tests: what to run before each commit

quick: .venv/installed-dev ## run the quick tests alone
	$(PYTEST) -q -m "not slow and not browser" $(PYTEST_ARGS)

lint: .venv/installed-dev ## run ruff, mypy and import-linter, and the checks of js/ if npm is there
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	if command -v npm > /dev/null; then \
	  cd js && { test -d node_modules || npm ci --no-audit --no-fund; } && npm run --silent check; \
	else echo "npm is not here: js/ is not checked" >&2; fi

format: .venv/installed-dev ## put right what ruff can put right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: .venv/installed-dev ## show that the tests of the file format reach every branch of it
	$(BIN)/python -m coverage run --branch --source=src/tacit/container -m pytest -q tests/container tests/test_info.py
	$(BIN)/python -m coverage report --show-missing --skip-covered --fail-under=100

fuzz: .venv/installed-fuzz ## fuzz each of FUZZ for a minute, or by FUZZ_ARGS="-runs=1000000" (fuzz/README.md)
	set -e; for target in $(FUZZ); do \
	  mkdir -p runs/fuzz/$$target; \
	  PYTHONPATH=tests:. OMP_NUM_THREADS=1 $(BIN)/python -m fuzz $$target $(FUZZ_ARGS) \
	    2>&1 | tee -a runs/fuzz/$$target/log; \
	  test -z "$$(ls runs/fuzz/$$target/findings)"; \
	done

# The variable silences an advertisement of the theme's.
docs: .venv/installed-docs ## build the site of the documents in build/site, and run its notebooks
	NO_MKDOCS_2_WARNING=1 OMP_NUM_THREADS=2 $(BIN)/python -m mkdocs build --strict --quiet

docs-serve: .venv/installed-docs ## show the site of the documents at http://127.0.0.1:8001 while you write
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:8001

gallery: .venv/installed-dev ## make the images of docs/gallery.md again (needs Chromium)
	$(BIN)/python scripts/gallery.py

speed: .venv/installed-dev ## measure speed and memory of this kind of processor into results/speed.json
	$(BIN)/python -m benchmarks.speed --large --taco

kodak: .venv/installed-dev ## compare codecs on Kodak into results/kodak; an interrupted run continues
	$(BIN)/python -m benchmarks.kodak $(KODAK_ARGS)

effort: .venv/installed-dev ## measure what the levels of effort save; an interrupted run continues
	$(BIN)/python -m benchmarks.effort $(EFFORT_ARGS)
	$(BIN)/python -m benchmarks.refinement

freezing: .venv/installed-dev ## measure what freezing costs; CHECKPOINT=FILE is the training checkpoint of the weights
	$(BIN)/python -m benchmarks.freezing $(CHECKPOINT) src/tacit/weights/tacit-s.safetensors

page: .venv/installed-dev ## take the pictures of the web page and measure its speed
	$(BIN)/python -m benchmarks.page

man: .venv/installed-dev ## write the manual pages, man/*.1, from the help of the commands
	$(BIN)/python scripts/man.py

readme: .venv/installed-dev ## write the generated blocks and pictures of the documents
	$(BIN)/python scripts/readme.py --picture

# One after the other, since timings need the machine for themselves.
results: ## measure all figures again (Kodak in $TACIT_DATA/kodak), and write the documents
	$(MAKE) kodak
	$(MAKE) speed
	$(MAKE) effort
	$(BIN)/python -m benchmarks.refinement
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.bulk
	$(if $(CHECKPOINT),$(MAKE) freezing)
	$(MAKE) page
	$(MAKE) gallery
	$(BIN)/python -m benchmarks.web
	$(if $(shell command -v npm),$(MAKE) js && $(BIN)/python -m benchmarks.browser)
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.progressive
	$(BIN)/python -m benchmarks.thumbnails
	$(MAKE) readme

# An interrupted run continues. Results of other models than the default have the model's name behind theirs.
studies: .venv/installed-dev ## measure what captions do, for each of MODELS; TACIT_POOL=PATH adds the enhancements
	mkdir -p results/study
	$(BIN)/python -m benchmarks.text_path
	$(BIN)/python -m benchmarks.attention --start
	set -e; for model in $(MODELS); do for study in captions steering oracle; do \
	  name=$$study; test $$model = tacit-s || name=$$study-$$model; \
	  $(BIN)/tacit study $$study -j 2 -o runs/study/$$name weights=$$model; \
	  cp runs/study/$$name/study.json results/study/$$name.json; \
	done; done
	$(if $(TACIT_POOL),$(BIN)/tacit study small -j 2 -o runs/study/small)
	$(if $(TACIT_POOL),cp runs/study/small/study.json results/study/small.json)
	$(BIN)/python scripts/readme.py

clean: ## remove what the other targets made, except .venv
	rm -rf .coverage build bulk-demo demo dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "tacit needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.13 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# torch first and apart: TORCH_INDEX has torch and what torch needs, but not the rest.
.venv/torch: constraints.txt | .venv/python
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH)"
	@touch $@

.venv/installed-dev .venv/installed-fuzz: .venv/torch

.venv/installed-%: pyproject.toml constraints.txt | .venv/python
	$(PIP) --constraint constraints.txt --editable ".[$*]"
# The tests compare with lpips, which asks for torchvision; the tests put a stand-in in torchvision's place.
	$(if $(filter dev,$*),$(PIP) --no-deps lpips==0.1.4)
	@touch $@
