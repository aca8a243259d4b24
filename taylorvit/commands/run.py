"""`taylorvit run`: your own tensors or images through an accelerator on a board, or on a simulated one.

    input.npz       --> TaylorVit        --+                                          +--> golden, table, z.npz
    model, images   --> TaylorVitNetwork --+--> port: serial adapter | simulated board --> integer model, table

File formats, checks and tables are those of `taylorvit simulate`. Cycles and utilization are the accelerator's own
counters: behind a serial line it mostly waits for input. Exit status 1 if a single bit differs from the golden model,
or if a test of the memory finds an error.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import folder, needs

from .board_options import add_board, add_board_configuration, board_configuration, board_of
from .board_port import add_baud, board_port
from .network_options import add_image_order, add_images, add_network
from .options import add_input

__all__ = ["add_arguments", "run"]

DEFAULT_SIMULATED_BOARD = "ulx3s-85f"
_OF_NETWORKS = ("network", "images", "image_order")


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", metavar="DEVICE", help="serial port of the board, for example /dev/ttyUSB0")
    where.add_argument("--sim", action="store_true", help="simulate the whole board, through its UART pins")
    add_board(parser, required=False, note="; with --port, the bitstream must be that of the board")
    add_board_configuration(parser)
    add_network(parser)
    add_baud(parser)
    what = parser.add_mutually_exclusive_group()
    add_input(what, required=False)
    what.add_argument("--model", metavar="DIR", type=folder, help="a model that `taylorvit compile` has written")
    add_images(parser)
    add_image_order(parser)
    parser.add_argument(
        "--memory-test",
        action="store_true",
        help="test the memory of tapes of a network accelerator, before the model's tape is loaded if one is given",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE.npz", type=Path, help="output file: z or logits, and registers or counters"
    )


def run(arguments: Namespace) -> int:
    """Carries out the command; returns the exit status."""
    if arguments.sim and arguments.baud is not None:
        raise ValueError(f"--baud must come with --port, not with --sim: {arguments.baud!r}")
    of_network = arguments.model is not None or arguments.memory_test
    given = [name for name in _OF_NETWORKS if getattr(arguments, name) is not None]
    if not of_network and arguments.input is None:
        raise ValueError("run must have --input, --model or --memory-test, which say what is to be done")
    for name in given if arguments.model is None else ():
        if name != "network":
            raise ValueError(f"--{name.replace('_', '-')} must come with --model")
        if not arguments.memory_test:
            raise ValueError("--network must come with --model or --memory-test")
    if arguments.input is not None and arguments.memory_test:
        raise ValueError("--memory-test must come with --model or alone, not with --input")
    if arguments.input is None and arguments.model is None and arguments.output is not None:
        raise ValueError("--output must come with --input or --model: a test of the memory has no results")
    if arguments.model is not None and arguments.images is None:
        raise ValueError("--model must come with --images")
    extra = "sim" if arguments.sim else "fpga"
    if of_network:
        with needs(extra if arguments.model is None else f"{extra},train"):
            from .board_network import run_network

            return run_network(arguments)
    with needs(extra):
        return _tensors(arguments)


def _tensors(arguments):
    from taylorvit.fpga.driver import TaylorVit
    from taylorvit.jobs import check_operands, judge, read_operands, run_on, save_result

    from .verdict import check_result_file, progress_bars, show_verdict

    name = DEFAULT_SIMULATED_BOARD if arguments.board is None and arguments.sim else arguments.board
    board = None if name is None else board_of(name)
    config = board_configuration(arguments, board)  # None if the hardware may be any
    check_result_file(arguments.output, arguments.input)
    operands = None
    if config is None:  # the port tells it, but a file that is for no accelerator is refused before
        check_operands(arguments.input)
    else:
        operands = read_operands(arguments.input, config)
    with progress_bars() as progress:
        port, preparation = board_port(arguments, board, config, progress)
        with TaylorVit(port, board=None if board is None else board.name, config=config) as accelerator:
            config = accelerator.view if config is None else config
            operands = read_operands(arguments.input, config) if operands is None else operands
            running = progress.add_task("heads", total=len(operands.job.q))
            outcome = run_on(
                accelerator,
                operands.job,
                prefix=preparation,
                on_progress=lambda heads: progress.update(running, completed=heads),
            )
    if arguments.output is not None:
        save_result(arguments.output, outcome.z, operands.job, config)
    return show_verdict(judge(outcome, operands, config), arguments.output)
