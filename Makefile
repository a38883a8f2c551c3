# The three commands: make demo, make test, make check. Everything they install goes into .venv and .cache.
VENV   := .venv
PYTHON := $(VENV)/bin/python
export FACEORCH_HOME ?= $(CURDIR)/.cache/faceorch

.PHONY: demo test test-images check docs lock wheel clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	$(VENV)/bin/faceorch run --image assets/face.png --audio assets/clip.wav

test: $(VENV)/installed-dev
	$(PYTHON) -m pytest

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

wheel: $(VENV)/installed
	$(VENV)/bin/uv build --wheel

$(PYTHON):
	if command -v uv > /dev/null; then uv venv --quiet --seed $(VENV); else python3 -m venv $(VENV); fi

$(VENV)/installed: pyproject.toml | $(PYTHON)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --group dev
	touch $@

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache build dist
