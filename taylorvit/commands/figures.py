"""`taylorvit figures`: what each form of a PE's multiplier costs in an array alone."""

from argparse import ArgumentParser, Namespace

from taylorvit.boundary.command import console, needs, whole_number

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Places and routes systolic arrays alone on an ECP5, and prints the cost of each form of a PE's multiplier."
    )
    for name, default in (("--rows", 8), ("--columns", 4)):
        parser.add_argument(
            name,
            metavar="N",
            type=whole_number(2, 64),
            default=default,
            help=f"{name[2:]} of the array, 2 to 64 (default: {default})",
        )


@needs("fpga")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    from taylorvit.fpga.families.ecp5.array_figures import figures_table

    with console(stderr=True).status("placing and routing") as status:
        table = figures_table(arguments.rows, arguments.columns, progress=lambda text: status.update(text))
    console().print(table)
