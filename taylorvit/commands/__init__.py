"""The commands of `taylorvit`, one a module, and the table of them.

A module of a command has two functions and prints; what it does is below it, and can be called without a command line:

    add_arguments(parser)    adds its arguments, and its description, to an `argparse` parser
    run(arguments)           carries it out; returns the exit status, None for 0

The table is all that is loaded until a command is called. Its module is loaded then, and whatever is slow to load, or
belongs to an extra, in its `run`.
"""

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

__all__ = ["COMMANDS", "Command"]


class Command(NamedTuple):
    """An entry of the table.

    Attributes:
        name (str): what is typed.
        group (str): heading of the help that it stands under.
        help (str): what it does, in one line.
        module_name (str): of its module in this package.
    """

    name: str
    group: str
    help: str
    module_name: str

    @property
    def module(self) -> ModuleType:
        """Its module, which is loaded now."""
        return import_module(f".{self.module_name}", __name__)


_GROUPS = {
    "Generator": {
        "presets": "list the presets with their sizes",
        "generate": "write Verilog, register map and metadata",
        "info": "show the register map and the ports",
    },
    "Simulation": {
        "simulate": "run your own tensors or images through the generated Verilog",
        "classify": "show images, and what the generated Verilog of a network takes them for",
        "serve": "show a web page to draw digits on, or drop images, for the Verilog",
    },
    "Boards": {
        "boards": "list the boards and their presets",
        "build": "make a bitstream",
        "load": "load a finished bitstream into a board",
        "run": "run your own Q, K, V or images on a board or a simulated board",
        "report": "show the report of a build",
        "c-job": "write your own Q, K, V or images as C source for the bare-metal examples",
        "figures": "measure the cost of each multiplier: place and route arrays alone",
    },
    "Models": {
        "train": "train a model from a recipe",
        "quantize": "turn a trained model into an integer-only one",
        "compile": "turn an integer model into the tape of a network accelerator",
        "evaluate": "measure the accuracy of float and integer models on held-out images",
        "inspect": "draw attention maps and the distribution of the centred logits",
        "capture": "write Q, K and V of a model's layers, for `taylorvit simulate`",
    },
    "Numbers": {
        "estimate": "count the cycles of a network on a network accelerator",
        "ops": "count the operations of softmax and Taylor attention",
        "fidelity": "measure the SQNR of the integer model of attention",
    },
    "Shell": {
        "completion": "print a script that completes commands, options and names",
    },
}

#: Every command by its name, in the order of the help.
COMMANDS = {
    name: Command(name, group, help, name.replace("-", "_"))
    for group, commands in _GROUPS.items()
    for name, help in commands.items()
}
