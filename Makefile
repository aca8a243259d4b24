# TaylorViT: `make help` lists what can be made. Needs python3 (3.11 or newer); to simulate, a C++ compiler too.
# Everything else comes from PyPI into .venv: `.venv/.base` stands for what generating Verilog needs, `.venv/.fpga` for
# bitstreams, `.venv/.sim` for simulation and tests, `.venv/.train` for training models, `.venv/.all` for all of it; each
# is installed when it is first needed or pyproject.toml has changed.

PYTHON ?= python3
PRESET ?= edge-16x16
BOARD  ?= ulx3s-85f
BOARDS ?= $(patsubst fpga/boards/%.toml,%,$(sort $(wildcard fpga/boards/*.toml)))
JOBS   ?= 2
SIM    ?= verilator
# Icarus is for the blocks: the whole accelerator takes too long in it.
TESTS  ?= verif/rtl $(if $(filter icarus,$(SIM)),,verif/regression)
# What `make check` runs: it simulates nothing.
QUICK  ?= verif/boundary verif/gen verif/golden verif/house/test_floors.py
WAVES  ?= 0
SEED   ?= 1
SEEDS  ?= 1 2 3

# Where simulations and netlists are kept; without make it is the user's cache.
TAYLORVIT_CACHE_DIR ?= $(CURDIR)/build

export SIM WAVES SEED TAYLORVIT_CACHE_DIR

.DELETE_ON_ERROR:
.PHONY: help generate-verilog bitstream bitstreams test pytest check install nightly sim lint types bench mutants models accuracies clean distclean check-python check-compiler

help:  ## this list
	@echo 'Targets:'
	@sed -n 's/^\([a-z-]*\):.*##/\1:/p' $(firstword $(MAKEFILE_LIST)) | while IFS=: read -r name text; do \
	    printf '  %-17s%s\n' "$$name" "$$text"; done
	@echo 'Variables (make TARGET NAME=VALUE), with their values now:'
	@printf '  %-17s %s\n' \
	    'PRESET=$(PRESET)' 'which accelerator generate-verilog makes (.venv/bin/taylorvit presets lists them);' \
	    '' 'if given, also which one bitstream builds instead of the one that the board is meant for' \
	    'BOARD=$(BOARD)' 'which board bitstream is for (.venv/bin/taylorvit boards lists them)' \
	    'BOARDS=...' 'which boards bitstreams is for; now all' \
	    'TESTS=...' 'files, folders or test names for sim; now $(strip $(TESTS))' \
	    'SEED=$(SEED)' 'seed of the stimuli: a number, or random' \
	    'SEEDS=$(SEEDS)' 'of the trainings of models' \
	    'WAVES=$(WAVES)' '1: record waveforms, build/runs/*/waves.vcd' \
	    'SIM=$(SIM)' 'verilator, or icarus (four-state, the unit tests; must be installed)' \
	    'JOBS=$(JOBS)' 'how many tests or trainings run at once' \
	    'PYTHON=$(PYTHON)' 'the Python that .venv is made from'

generate-verilog: .venv/.base  ## Verilog, register map and metadata of PRESET into build/PRESET
	.venv/bin/taylorvit generate --preset $(PRESET) -o build/$(PRESET)

bitstream: .venv/.fpga  ## a bitstream for BOARD, below build/fpga/BOARD
	.venv/bin/taylorvit build --board $(BOARD) $(if $(filter file default,$(origin PRESET)),,--preset $(PRESET))

bitstreams: .venv/.fpga  ## bitstreams for all boards, and a table of them
	.venv/bin/taylorvit build $(addprefix --board ,$(BOARDS))

test: install check-compiler  ## everything: lint, types, unit tests, golden model, regression
	@$(MAKE) --no-print-directory -j$(JOBS) lint types
	@$(MAKE) --no-print-directory pytest

pytest: install check-compiler  ## all tests, and which of them were slow
	.venv/bin/python -m pytest verif -n $(JOBS) --durations=15

check: install  ## what is quick of it: types, lint of small presets, tests that simulate nothing
	@$(MAKE) --no-print-directory -j$(JOBS) lint types LINTED='tiny-4x4 edge-16x8'
	.venv/bin/python -m pytest $(QUICK) -m 'not slow and not nightly' -n $(JOBS)

install: .venv/.all  ## all packages into .venv

nightly: check-compiler .venv/.sim  ## what takes longer: random configurations, generated and linted, some of them simulated
	.venv/bin/python -m pytest verif -m nightly -n $(JOBS)

sim: check-compiler .venv/.sim  ## the cocotb regression alone, or the TESTS named
	.venv/bin/python -m pytest $(TESTS) -n $(JOBS)

lint: .venv/.sim  ## ruff over the Python, Verilator -Wall and Yosys over the Verilog of every preset
	.venv/bin/ruff check .
	.venv/bin/python -m verif.tools.lint $(LINTED)

types: install  ## mypy over everything that is no gateware
	@mkdir -p build/types/taylorvit
	@ln -sfn $(addprefix $(CURDIR)/,boundary rtl golden gen fpga $(wildcard taylorvit/*)) build/types/taylorvit/
	.venv/bin/python -m mypy

bench: check-compiler .venv/.sim  ## cycles a head, emission and simulation speed: a table, and build/bench.json
	.venv/bin/python -m verif.tools.benchmark -o build/bench.json

mutants: check-compiler .venv/.sim  ## plants faults in the Verilog and shows that the regression catches each
	.venv/bin/python -m verif.tools.mutants

models: .venv/.train  ## trains models with each attention on MNIST-5k, quantizes them: a table of what they recognize
	@$(MAKE) --no-print-directory -j$(JOBS) $(if $(filter output-sync,$(.FEATURES)),-O) accuracies

clean:  ## removes what was generated, built and recorded
	rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis

distclean: clean  ## removes .venv as well
	rm -rf .venv *.egg-info

# Bytecode comes with the first import; that of all packages would take half of the time.
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

.venv/.all: pyproject.toml setup.py | .venv/pyvenv.cfg
	@echo 'Installing everything into .venv ...'
	$(INSTALL) '.[sim,test,lint,fpga,train,oracle]'
	@touch .venv/.base .venv/.sim .venv/.fpga .venv/.train $@

check-python:
	@command -v '$(PYTHON)' > /dev/null || { echo "make: Python was not found as '$(PYTHON)': install python3 (3.11 or newer), or name one with PYTHON=" >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $$('$(PYTHON)' --version) is too old: 3.11 or newer is needed; name one with PYTHON=" >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2> /dev/null || { echo "make: '$(PYTHON)' cannot make virtual environments: install python3-venv" >&2; exit 1; }

check-compiler:
	@command -v "$${CXX:-g++}" > /dev/null || { eval "set -- $$CXX" && command -v "$$1" > /dev/null; } || { echo "make: the C++ compiler '$${CXX:-g++}' was not found: install g++ (Debian, Ubuntu: apt-get install g++), or set CXX" >&2; exit 1; }

# Models of MNIST-5k for `make models`. From random weights: softmax attention, and those whose queries and keys mean
# something else. From softmax weights: ViTALiTy's training, Taylor attention alone and, to compare, softmax once more.

GOLDEN = OMP_NUM_THREADS=1 .venv/bin/taylorvit
TRAIN = $(GOLDEN) train --resume -o $(@D) --set training.seed=$*
MODELS = mnist5k mnist5k_linear_angular mnist5k_relu mnist5k_softmax mnist5k_taylor mnist5k_vitality
of_seeds = $(foreach model,$(1),$(SEEDS:%=build/golden/$(model)-%/$(2).safetensors))

.PRECIOUS: build/golden/mnist5k-%/model.safetensors  # others go on from it

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

build/golden/%/integer.safetensors: build/golden/%/model.safetensors
	$(GOLDEN) quantize $<
