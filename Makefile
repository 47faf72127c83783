# Everything runs in a virtual environment of its own, .venv, made on the first call.
#
#   make demo     real photographs through the codec; the page is demo/index.html
#   make bulk-demo  a small data set of them compressed shard by shard on Ray, and restored, in bulk-demo/
#   make test     all tests
#   make lint     ruff, mypy, import-linter
#   make bench    speed and memory, as JSON in results/
#   make results  all figures: Kodak, speed and memory, and the documents; the Kodak images in $TACIT_DATA/kodak
#                 CHECKPOINT=FILE, the training checkpoint of the shipped weights: what freezing costs, too
#   make studies  what captions do, as JSON in results/study, of each of MODELS (tacit-s); Kodak as above
#                 TACIT_POOL=PATH, a pool of photos with captions: what the enhancements are worth, too
#   make clean    remove what these made, but not .venv
#
# On Linux, PyPI's torch brings CUDA with it (some GB). For the small CPU build:
#
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
#
# A torch that is in .venv already, of the version in constraints.txt and of whatever build, is kept.

PYTHON ?= python3
TORCH_INDEX ?=
PYTEST_ARGS ?=
KODAK_ARGS ?=
CHECKPOINT ?=
MODELS ?= tacit-s

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TORCH := $(shell sed -n 's/^\(torch==[^ ;]*\).*/\1/p' constraints.txt)

.PHONY: demo bulk-demo test lint format bench kodak freezing page readme results studies clean

demo: .venv/installed-demo
	$(BIN)/tacit demo --output demo

bulk-demo: .venv/installed-bulk,demo
	rm -rf bulk-demo
	$(BIN)/python scripts/bulk_demo.py bulk-demo/photos
	$(BIN)/tacit bulk bulk-demo/photos bulk-demo/small --to tar --shard-size 6 --verify
	$(BIN)/tacit bulk bulk-demo/photos bulk-demo/small --to tar --shard-size 6
	$(BIN)/tacit bulk --decode bulk-demo/small bulk-demo/restored --to folder

test: .venv/installed-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed-dev
	$(BIN)/python scripts/bench.py --large

# Goes on where it was interrupted, and measures no file twice.
kodak: .venv/installed-dev
	$(BIN)/python scripts/kodak.py $(KODAK_ARGS)

freezing: .venv/installed-dev
	$(BIN)/python scripts/freezing.py $(CHECKPOINT) src/tacit/weights/tacit-s.safetensors

page: .venv/installed-dev
	$(BIN)/python scripts/page.py

readme: .venv/installed-dev
	$(BIN)/python scripts/readme.py --picture

# One after the other: timings want the machine for themselves.
results:
	$(MAKE) kodak
	$(MAKE) bench
	$(BIN)/python scripts/reading_bench.py
	$(BIN)/python scripts/bulk_bench.py
	$(if $(CHECKPOINT),$(MAKE) freezing)
	$(MAKE) page
	$(BIN)/python scripts/web_load.py
	$(MAKE) readme

# Goes on where it was interrupted. Results of other models than the default have its name behind theirs.
studies: .venv/installed-dev
	mkdir -p results/study
	$(BIN)/python scripts/text_path.py
	$(BIN)/python scripts/attention.py --start
	set -e; for model in $(MODELS); do for study in captions steering; do \
	  name=$$study; test $$model = tacit-s || name=$$study-$$model; \
	  $(BIN)/tacit study $$study -j 2 -o runs/study/$$name weights=$$model; \
	  cp runs/study/$$name/study.json results/study/$$name.json; \
	done; done
	$(if $(TACIT_POOL),$(BIN)/tacit study small -j 2 -o runs/study/small)
	$(if $(TACIT_POOL),cp runs/study/small/study.json results/study/small.json)
	$(BIN)/python scripts/readme.py

clean:
	rm -rf build bulk-demo demo dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "tacit needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.13 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# torch first and apart: TORCH_INDEX has that and what it needs, but not the rest.
.venv/torch: constraints.txt | .venv/python
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH)"
	@touch $@

.venv/installed-%: pyproject.toml constraints.txt .venv/torch
	$(PIP) --constraint constraints.txt --editable ".[$*]"
# The tests compare with it; it asks for torchvision, whose place they take.
	$(if $(filter dev,$*),$(PIP) --no-deps lpips==0.1.4)
	@touch $@
