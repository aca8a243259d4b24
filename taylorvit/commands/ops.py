"""`taylorvit ops`: the operations of softmax and Taylor attention."""

from argparse import ArgumentParser, Namespace

from taylorvit.boundary.command import console, needs

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "--model",
        default="deit_tiny",
        metavar="NAME",
        help="shape of a model, a key of golden.network.vit.SHAPES (default: deit_tiny)",
    )


@needs("train")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    from taylorvit.golden.network.vit import SHAPES
    from taylorvit.golden.reports.op_counts import operations_table, total_attention_operations

    screen = console()
    screen.print(operations_table(arguments.model))
    softmax, taylor = (total_attention_operations(name, SHAPES[arguments.model]) for name in ("softmax", "taylor"))
    ratio = softmax.multiplications / taylor.multiplications
    screen.print(f"Taylor attention has {ratio:.2f} times fewer multiplications")
