# make demo   make an environment, install, run the main job on embedded data
# make test   the same environment with the tools of development, and the tests
# make lint   ruff, mypy and import-linter
# make bench  the benchmarks
# make cuda   whether the CUDA sources compile
# make clean  remove what was built; the environment stays (rm -rf .venv removes it)
#
# Another interpreter: make demo PYTHON=/path/to/python. Another environment: VENV=/path.
# Where pip finds only the CUDA build of torch, gigabytes large: make demo TORCH_FLAGS="--index-url
# ADDRESS" with the address of an index of CPU builds. Tests run in two processes; JOBS=0 for one.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
TORCH_FLAGS ?=
JOBS ?= 2
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
REQUIREMENTS = setup.py pyproject.toml constraints.txt

.PHONY: demo test lint layout cuda sanitize bench clean

demo: $(VENV)/.installed
	$(BIN)/dglmeta demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: $(VENV)/.installed-dev layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd build/installed && $(abspath $(BIN))/mypy --config-file ../../pyproject.toml
	cd build/installed && $(abspath $(BIN))/lint-imports --config ../../pyproject.toml --no-cache

# mypy and import-linter know modules by where they lie, so they read the layout that is installed,
# where kernels/ is dglmeta/kernels/.
layout: $(VENV)/.installed-dev
	rm -rf build/installed
	$(BIN)/python setup.py --quiet build_py --build-lib build/installed

# The CUDA sources are compiled when a GPU first needs them; this tells early whether they do, with
# nvcc and NVRTC as far as they are there. No GPU is needed.
cuda: $(VENV)/.installed-dev
	$(BIN)/python -m dglmeta.kernels.gpu.compile_all

# The kernels' tests under NVIDIA's compute-sanitizer, on a GPU.
sanitize: $(VENV)/.installed-dev
	$(BIN)/python -m dglmeta.bench.gpu.sanitize

bench: $(VENV)/.installed-dev
	$(BIN)/dglmeta bench

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find dglmeta kernels bench tests examples -name __pycache__ -prune -exec rm -rf {} +

# torch goes first and alone, at its exact version: so pip takes the small CPU build wherever one is
# offered, and nothing that follows replaces it.
$(VENV)/.installed: $(REQUIREMENTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH_FLAGS) torch
	$(PIP) setuptools
	$(PIP) --no-build-isolation --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --no-build-isolation --editable '.[baselines,dev,dist,interop,bench,report]'
	touch $@
