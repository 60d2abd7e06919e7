# Every verb makes the environment it needs. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
INPUTS := pyproject.toml constraints.txt
# The repository root is the package, whatever its folder is called; type checkers find it by this link.
LINK := $(VENV)/src/tiffin

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python $(INPUTS)
	$(PIP) --constraint constraints.txt --editable '.[sklearn,lock]'
	touch $@

$(VENV)/.dev: $(BIN)/python $(INPUTS)
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	mkdir -p $(VENV)/src && ln -sfn "$(CURDIR)" $(LINK)
	touch $@ $(VENV)/.run

# The tests of written TypeScript clients need a compiler; without npm or a network they are skipped.
TYPESCRIPT := typescript@5.9.3

$(VENV)/.typescript: $(BIN)/python
	if command -v npm >/dev/null; then \
		npm install --silent --no-fund --no-audit --prefix $(VENV)/node $(TYPESCRIPT) || echo "no TypeScript"; fi
	touch $@

.PHONY: help
help: ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: install
install: $(VENV)/.dev $(VENV)/.typescript ## make the development environment in .venv

.PHONY: quickstart
quickstart: $(VENV)/.run ## train, save, build, serve and call the iris example
	TIFFIN_HOME="$(CURDIR)/.quickstart" $(BIN)/python examples/run.py iris_sklearn

.PHONY: lint
lint: $(VENV)/.dev ## ruff and mypy
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	MYPYPATH=$(VENV)/src $(BIN)/mypy -p tiffin.runtime -p tiffin.bundler -p tiffin.cli -m tiffin -m tiffin.errors

# Processes that share the tests, file by file; 0: all in one, for a debugger.
WORKERS ?= 2

.PHONY: test
test: lint $(VENV)/.typescript ## lint, then every test
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

# make test-image ENGINES=docker: with that engine only; podman is one, too. ARM64=1: an image for an emulated
# processor as well, for which qemu-user-static and binfmt-support are needed, and many minutes.
ENGINES ?= docker buildah
ARM64 ?=

.PHONY: test-image
test-image: $(VENV)/.dev ## build, run and change real images; needs root, docker, buildah, podman, debootstrap
	TIFFIN_TEST_ENGINES="$(ENGINES)" TIFFIN_TEST_ARM64="$(ARM64)" $(BIN)/python -m pytest tests/image

# Heavy libraries in an environment of their own, which sees the other one: torch is there once.
FRAMEWORKS := .venv-frameworks
LIBRARIES := transformers sentence-transformers diffusers accelerate keras tensorflow-cpu jax flax lightning fastai \
	onnx onnxruntime skl2onnx lightgbm catboost statsmodels skops openvino mlflow-skinny spacy soundfile av

$(FRAMEWORKS)/.done: $(VENV)/.dev constraints-frameworks.txt Makefile
	$(BIN)/python -m venv $(FRAMEWORKS)
	echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		>"$$($(FRAMEWORKS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dev.pth"
	$(FRAMEWORKS)/bin/python -m pip install --disable-pip-version-check --quiet \
		--constraint constraints.txt --constraint constraints-frameworks.txt $(LIBRARIES)
	# fastai asks for it, PyPI has it for CUDA only, and what does not import takes others along.
	$(FRAMEWORKS)/bin/python -c 'import torchvision' 2>/dev/null || \
		$(FRAMEWORKS)/bin/python -m pip uninstall --quiet --yes torchvision
	touch $@

.PHONY: test-frameworks
test-frameworks: $(FRAMEWORKS)/.done ## small models of every framework, in .venv-frameworks
	$(FRAMEWORKS)/bin/python -m pytest tests/frameworks --numprocesses $(WORKERS) --dist loadfile

# make bench PEERS="mosec fastapi": tiffin beside those only. QUICK=1: one round of one second.
PEERS ?=
ROUNDS ?= 3
SECONDS_EACH ?= 2

.PHONY: bench
bench: $(VENV)/.dev ## speed and size, beside every peer or PEERS="mosec …"; QUICK=1
	$(BIN)/python benchmarks/$(if $(PEERS),side_by_side,run).py $(PEERS) \
		$(if $(QUICK),--quick,--rounds $(ROUNDS) --seconds $(SECONDS_EACH))

.PHONY: bench-image
bench-image: $(VENV)/.dev ## size, build seconds and re-pushed bytes of images, beside BentoML's; needs docker
	PYTHONPATH=tests/support:tests/image $(BIN)/python benchmarks/image.py

.PHONY: soak
soak: $(VENV)/.dev ## a server for 15 minutes, in peace and under fire; SOAK="fire --fire-s 10" for a part
	$(BIN)/python benchmarks/soak.py $(SOAK)

.PHONY: clean
clean: ## remove what the other verbs made
	rm -rf $(VENV) $(FRAMEWORKS) build dist .quickstart .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
