"""Models of the cells of each FPGA family, and what a pin of a cell reads when no net is on it.

That is a property of the bitstream, which nextpnr writes. The rules follow its sources (`ecp5/pack.cc`,
`ecp5/bitstream.cc`, `ice40/cells.cc`, `himbaechel/uarch/gowin/pack.cc`): they resolve each free pin, and each parameter
that says what a pin reads, so that the models are of the cell alone. A pin or a parameter that no rule covers is a
`NetlistError`, as a parameter's value that a model does not have is an error of the simulator.
"""

from .ecp5 import ECP5_CELLS
from .gowin import GOWIN_CELLS
from .ice40 import ICE40_CELLS
from .models import CellModels

__all__ = ["CELL_MODELS", "CellModels"]

#: Name of a family -> models of its cells.
CELL_MODELS = {models.name: models for models in (ECP5_CELLS, ICE40_CELLS, GOWIN_CELLS)}
