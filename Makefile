# The three commands: make demo, make test, make check. Everything they install goes into .venv and .cache.
# CONTRIBUTING.md has more of them, and says how to run some tests only.
VENV   := .venv
PYTHON := $(VENV)/bin/python
export FACEORCH_HOME ?= $(CURDIR)/.cache/faceorch

.PHONY: demo test fuzz coverage test-images check docs lock wheel clean
.DELETE_ON_ERROR:

# Another portrait, with a hat, glasses and a closed mouth: make demo FACE=assets/hopper.png
FACE ?= assets/face.png
demo: $(VENV)/installed
	@echo 'animating a portrait; the first time, the baseline and the judge get environments of their own (800 MB, a minute or two)'
	$(VENV)/bin/faceorch run --image '$(FACE)' --audio assets/clip.wav

# How many tests run side by side; most of them wait for processes most of the time.
WORKERS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
test: $(VENV)/installed-dev
	@echo 'every test: about ten minutes on two cores, fifteen the first time; what is skipped says what it needs (some tests only: CONTRIBUTING.md)'
	$(PYTHON) -m pytest --numprocesses $(WORKERS)

# Which lines of faceorch the tests pass through that need nothing; htmlcov/index.html shows them in place.
coverage: $(VENV)/installed-dev
	$(PYTHON) -m pytest tests/unit --cov --cov-report=term:skip-covered --cov-report=html

# Ten thousand hostile inputs, where `make test` tries a few: some minutes. FUZZ=100000 makes it more.
FUZZ ?= 10000
fuzz: $(VENV)/installed-dev
	FACEORCH_FUZZ=$(FUZZ) $(PYTHON) -m pytest tests/fuzz -q

# Builds every base for real and asks its torch what it holds: some minutes, and up to 20 GB of disk each.
test-images: $(VENV)/installed-dev
	FACEORCH_TEST_IMAGES=1 $(PYTHON) -m pytest tests/images

check: $(VENV)/installed-dev
	$(VENV)/bin/ruff format $(if $(CI),--check)
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy

# What is generated: the JSON Schema of run.json, the command line's reference, compose.yaml and its Dockerfile.
docs: $(VENV)/installed-dev
	$(PYTHON) docs/generate.py

# Renews the locks: all of them, or with `make lock-base` and `make lock-NETWORK` those of one folder. A network's locks
# hold those of its bases, so that its image adds to the base's layers and replaces nothing in them. Its overrides.txt,
# when there is one, says what its packages ask for and do not use.
UV_LOCK = $(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
          --only-binary :all: --no-emit-index-url --no-annotate --custom-compile-command 'make lock'
LOCKED  = $(patsubst docker/%/requirements.in,lock-%,$(wildcard docker/*/requirements.in))
.PHONY: lock-base lock-template $(LOCKED)
lock: lock-base lock-template
	$(MAKE) $(LOCKED)

lock-base: $(VENV)/installed
	$(UV_LOCK) docker/base/tools.in --output-file docker/base/tools.lock
	set -e; for wanted in docker/base/requirements.*.in; do $(UV_LOCK) $$wanted --output-file $${wanted%.in}.lock; done

$(LOCKED): lock-%: $(VENV)/installed
	$(VENV)/bin/faceorch lock --upgrade docker/$*

# The network that `faceorch new` copies.
lock-template: $(VENV)/installed
	$(VENV)/bin/faceorch lock --upgrade orchestrator/faceorch/networks/template/mynetwork

# Upstream's own script against our runner, on stand-in weights (benchmarks/parity.py): make parity-NETWORK FOLDER=CHECKOUT.
# The network's environment comes from its lock; what upstream's script imports beside, from benchmarks/parities/NETWORK.txt.
PARITIES := $(patsubst benchmarks/parities/%.txt,parity-%,$(wildcard benchmarks/parities/*.txt))
.PHONY: $(PARITIES)
$(PARITIES): parity-%: $(VENV)/installed
	@test -d '$(FOLDER)/.git' || { echo 'name a checkout of upstream: make $@ FOLDER=CHECKOUT'; exit 2; }
	$(VENV)/bin/uv venv --quiet --allow-existing --python '>=3.10,<3.12' .cache/parity/$*
	$(VENV)/bin/uv pip sync --quiet --require-hashes --only-binary :all: --python .cache/parity/$*/bin/python docker/$*/requirements.cu121.lock
	$(VENV)/bin/uv pip install --quiet --no-deps --python .cache/parity/$*/bin/python --target .cache/parity/$*-upstream -r benchmarks/parities/$*.txt
	ln -sf "$$(.cache/parity/$*/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" .cache/parity/$*/bin/ffmpeg
	$(PYTHON) benchmarks/parity.py $* '$(FOLDER)' --python .cache/parity/$*/bin/python --path .cache/parity/$*-upstream

wheel: $(VENV)/installed
	$(VENV)/bin/uv build --wheel

# uv is what faceorch builds the networks' environments with: where it is missing, it is the first thing to get.
$(PYTHON):
	@echo 'making $(VENV), with uv in it'
	@if command -v uv > /dev/null; then uv venv --quiet --seed $(VENV); else python3 -m venv $(VENV); fi
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check 'uv>=0.8'

$(VENV)/installed: pyproject.toml | $(PYTHON)
	@echo 'installing faceorch and what it needs into $(VENV): some 50 packages, a minute or two, once'
	@$(VENV)/bin/uv pip install --python $(PYTHON) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo 'installing what its tests and checks need'
	@$(VENV)/bin/uv pip install --python $(PYTHON) --group dev
	@touch $@

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .coverage htmlcov build dist
