"""`taylorvit simulate`: your own tensors through the generated Verilog.

Exit status 1 if a single bit differs from the golden model.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import needs

from .options import add_configuration, add_input, configuration_of

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Runs Q, K, V through the generated Verilog under Verilator and compares with the golden model. Exit status 1 "
        "if a single bit differs."
    )
    add_configuration(parser, required=True)
    add_input(parser)
    parser.add_argument("-o", "--output", metavar="FILE.npz", type=Path, help="z, and all it comes from")
    parser.add_argument("--waves", action="store_true", help="record a waveform, beside the output")


@needs("sim")
def run(arguments: Namespace) -> int:
    """Carries out the command; returns the exit status."""
    config = configuration_of(arguments)
    from taylorvit.simulation.simulate import run as simulate

    return simulate(config=config, input=arguments.input, output=arguments.output, waves=arguments.waves)
