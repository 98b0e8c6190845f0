# Mistral, Mixtral and Mamba from the inside. `make help` explains every verb.

VENV := .venv
PY := $(VENV)/bin/python
# A smaller, CPU-only torch on Linux: make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
PIP := $(PY) -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
# Two test processes, one thread each: torch would otherwise start four on two cores.
WORKERS ?= 2
PYTEST := -q -n $(WORKERS) --dist loadgroup --no-loadscope-reorder
EVERYTHING := --doctest-modules --ignore=tests/fixtures tests mixlab classroom
NBVAL := -q -p no:cacheprovider -n $(WORKERS) --dist loadfile --nbval --nbval-current-env --nbval-cell-timeout=120
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup lab update test test-all quick chapter new-chapter notebooks slides check certificate grade doctor weights train bench gpu clean

help: ## Explain these verbs
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(VENV)/ready ## Make .venv with everything a lesson needs, the real weights too

$(VENV)/ready: lib/pyproject.toml
	@python=; for candidate in "$(PYTHON)" python3 python3.13 python3.12 python3.11 python; do \
	  if [ -n "$$candidate" ] && $$candidate -c 'import sys, venv, ensurepip; \
	      sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; \
	  then python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "make: no Python 3.11, 3.12 or 3.13 with the venv module was found."; \
	  echo "      Install one (on Debian: apt install python3 python3-venv), or name it:"; \
	  echo "      make setup PYTHON=/path/to/python3.12"; exit 1; fi; \
	test -x $(PY) || $$python -m venv $(VENV)
	@echo "Installing the course's packages into $(VENV): a few minutes the first time."
	@$(PIP) -e lib
	@PYTHONPATH=lib $(PY) -m classroom weights
	@touch $@

$(VENV)/ready-to-test: $(VENV)/ready
	@$(PIP) -e "lib[test]"
	@# Mistral's tokenizer files. Only they are read: the package wants an older numpy, and gguf
	@# would import it wherever it finds it, which takes seconds; so it lies off Python's path.
	@$(PIP) --no-deps --upgrade --target $(VENV)/mistral-common mistral-common==1.13.1
	@touch $@

$(VENV)/ready-to-bench: $(VENV)/ready-to-test
	@$(PIP) -e "lib[bench]" || echo "make: the engines in C++ have no wheel here; their rows are left out"
	@touch $@

lab: setup ## Open JupyterLab; your copies of the exercises lie in work/ (ARGS="--no-browser")
	@$(PY) -m classroom lab $(ARGS)

update: setup ## Carry your answers in work/ over into exercises that have changed (ARGS="02")
	@$(PY) -m classroom update $(ARGS)

test: style ## Run every test: style, drift, library, exercises, lessons, slides, grading
	cd lib && OMP_NUM_THREADS=1 ../$(PY) -m pytest $(PYTEST) $(EVERYTHING)
	OMP_NUM_THREADS=1 IPYTHONDIR=$(CURDIR)/build/ipython $(PY) -m pytest $(NBVAL) solutions

test-all: style ## Run what takes long too: all attacks, a class of 200, twenty seeds, nbval on lessons
	cd lib && MIXLAB_THOROUGH=1 OMP_NUM_THREADS=1 ../$(PY) -m pytest $(PYTEST) $(EVERYTHING)
	OMP_NUM_THREADS=1 IPYTHONDIR=$(CURDIR)/build/ipython $(PY) -m pytest $(NBVAL) course solutions

quick: style ## A minute and a half: style, notebooks, layers, signatures, documentation, a few of the library's tests
	@$(PY) -m classroom notebooks --check
	cd lib && OMP_NUM_THREADS=1 ../$(PY) -m pytest $(PYTEST) -m "not slow and not browser" \
	  tests/test_project.py tests/test_layers.py tests/test_library_shape.py tests/test_docstrings.py tests/test_signatures.py \
	  tests/transformer/test_window.py tests/transformer/test_rope.py tests/ssm/test_scan.py tests/checks/test_check.py

.PHONY: style
style: $(VENV)/ready-to-test
	@$(PY) -m ruff check --quiet --config lib/pyproject.toml lib
	@$(PY) -m ruff format --check --quiet --config lib/pyproject.toml lib

chapter: style ## Build, lint, test and render one chapter (NN=04)
	@test -n "$(NN)" || { echo "make: which chapter? make chapter NN=04"; exit 2; }
	@$(PY) -m classroom notebooks $(NN)
	@$(PY) -m classroom lint $(NN)
	cd lib && MIXLAB_DECKS=$(CURDIR)/build/slides OMP_NUM_THREADS=1 ../$(PY) -m pytest $(PYTEST) \
	  tests/chapters tests/checks/test_exercises.py \
	  -k "$(NN) or of_all or $(patsubst course/source/$(NN)_%.py,%,$(wildcard course/source/$(NN)_*.py))"
	@OMP_NUM_THREADS=1 IPYTHONDIR=$(CURDIR)/build/ipython $(PY) -m pytest $(NBVAL) solutions/$(NN)_*.ipynb \
	  || { echo "make: solutions/ holds another run; after a change to an exercise: $(PY) -m classroom notebooks --execute $(NN)"; exit 1; }
	@echo "The deck: build/slides/$(patsubst course/source/%.py,%.html,$(wildcard course/source/$(NN)_*.py))"

new-chapter: setup ## Begin a chapter: source, folder, one exercise (NN=05 STEM=chunked_prefill)
	@test -n "$(NN)" -a -n "$(STEM)" || { echo "make: make new-chapter NN=05 STEM=chunked_prefill"; exit 2; }
	@$(PY) -m classroom new $(NN) $(STEM)

notebooks: setup ## Build the three notebooks of each chapter from course/source (ARGS="02")
	@$(PY) -m classroom notebooks $(ARGS)

slides: setup ## Render each chapter's slides to build/slides (ARGS="02")
	@$(PY) -m classroom slides $(ARGS)

check: setup ## Tell a student which answers pass (NB=02, or a notebook's path)
	@test -n "$(NB)" || { echo "make: which chapter? make check NB=02"; exit 2; }
	@$(PY) -m classroom check "$(NB)" $(ARGS) || test $$? -eq 1  # answers that are still open

certificate: setup ## Check all of work/ and draw build/certificate.html (NAME="Ada Lovelace")
	@$(PY) -m classroom certificate $(if $(NAME),--name "$(NAME)") $(ARGS)

grade: setup ## Grade a class in a sandbox (SUBMISSIONS=folder OUT=build/grades)
	@test -n "$(SUBMISSIONS)" || { echo "make: which folder? make grade SUBMISSIONS=folder"; exit 2; }
	@$(PY) -m classroom grade "$(SUBMISSIONS)" --out "$(or $(OUT),build/grades)" $(ARGS)

doctor: ## Name every problem of this machine, with its remedy
	@PYTHONPATH=lib $$(test -x $(PY) && echo $(PY) || echo python3) -m classroom doctor

weights: setup ## Install and verify the real pretrained weights
	@$(PY) -m classroom weights

train: setup ## Train chapter 08's small Mixtral again, and compare it with its card (ARGS="--seed 1")
	@$(PY) -m mixlab.small_mixtral $(ARGS)

bench: $(VENV)/ready-to-bench ## Measure the library beside transformers, mambapy and engines in C++ (ARGS="--quick")
	@cd lib && ../$(PY) -m bench $(ARGS)

gpu: $(VENV)/ready-to-test ## On a CUDA machine: the GPU's tests and measurements
	cd lib && ../$(PY) -m pytest -q -m gpu tests
	@cd lib && ../$(PY) -m bench --gpu $(ARGS)

clean: ## Remove .venv and build
	rm -rf $(VENV) build
