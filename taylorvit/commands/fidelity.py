"""`taylorvit fidelity`: how much of attention the integers keep."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import console, needs, whole_number

from .checkpoints import check_picture

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "--kernel",
        choices=("taylor", "softmax"),
        default="taylor",
        help="attention kernel (default: %(default)s)",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.png", help="also draw a histogram")
    parser.add_argument(
        "--count",
        type=whole_number(1),
        default=200,
        metavar="N",
        help="number of random shapes of each kind (default: 200)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0),
        default=2023,
        metavar="N",
        help="seed of the random shapes and operands (default: 2023)",
    )


@needs("train")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    if arguments.kernel == "softmax" and arguments.output is not None:
        raise ValueError("output must be left out with --kernel softmax: only Taylor attention has a histogram")
    check_picture(arguments.output)
    from taylorvit.golden import workloads
    from taylorvit.golden.reports.fidelity import (
        draw_histogram,
        fidelity_of_random_operands,
        fidelity_tables,
    )
    from taylorvit.golden.reports.softmax_fidelity import softmax_fidelity_tables

    screen = console()
    if arguments.kernel == "softmax":
        for table in softmax_fidelity_tables(arguments.seed):
            screen.print(table)
        if not workloads.names():
            screen.print(f"without captured operands: {workloads.ABSENT}")
        return
    jobs = fidelity_of_random_operands(arguments.count, arguments.seed)
    for table in fidelity_tables(jobs, count=arguments.count, seed=arguments.seed):
        screen.print(table)
    if not workloads.names():
        screen.print(f"without captured operands: {workloads.ABSENT}")
    if arguments.output is not None:
        draw_histogram(arguments.output, jobs)
        screen.print(f"wrote {arguments.output}")
