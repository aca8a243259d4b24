"""`taylorvit run`: your own tensors through an accelerator on a board, or on a simulated one.

    input.npz --> operands --> TaylorVit --> port: serial adapter | simulated board
                                   |
                                   z --> compared with the golden, table, z.npz

File formats, checks and table are those of `taylorvit simulate`. Cycles and utilization are the accelerator's own
counters: behind a serial line it mostly waits for input. Exit status 1 if a single bit differs from the golden model.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import needs

from .board_options import add_board, add_board_configuration, board_configuration, board_of
from .options import add_input

__all__ = ["add_arguments", "run"]

DEFAULT_BAUD = 3_000_000
DEFAULT_SIMULATED_BOARD = "ulx3s-85f"


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", metavar="DEVICE", help="serial port of the board, for example /dev/ttyUSB0")
    where.add_argument("--sim", action="store_true", help="simulate the whole board, through its UART pins")
    add_board(parser, required=False, note="; with --port, the bitstream must be that of the board")
    add_board_configuration(parser)
    parser.add_argument(
        "--baud", metavar="N", type=int, help=f"baud rate of the port (default: that of the board, or {DEFAULT_BAUD})"
    )
    add_input(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE.npz", type=Path, help="output file: z, its operands and registers"
    )


def run(arguments: Namespace) -> int:
    """Carries out the command; returns the exit status."""
    with needs("sim" if arguments.sim else "fpga"):
        return _run(arguments)


def _run(arguments):
    from taylorvit.fpga.driver import TaylorVit
    from taylorvit.jobs import judge, read_operands, run_on, save_result

    from .verdict import check_result_file, progress_bars, show_verdict

    if arguments.sim and arguments.baud is not None:
        raise ValueError(f"--baud must come with --port, not with --sim: {arguments.baud!r}")
    name = DEFAULT_SIMULATED_BOARD if arguments.board is None and arguments.sim else arguments.board
    board = None if name is None else board_of(name)
    config = board_configuration(arguments, board)  # None if the hardware may be any
    check_result_file(arguments.output, arguments.input)
    # Before anything is built for it.
    operands = None if config is None else read_operands(arguments.input, config)
    with progress_bars() as progress:
        preparing = progress.add_task(
            "building the simulation" if arguments.sim else f"connecting to {arguments.port}", total=None
        )
        port, preparation = _simulated_port(board, config) if arguments.sim else _serial_port(arguments, board)
        with TaylorVit(port, board=None if board is None else board.name, config=config) as accelerator:
            progress.update(preparing, total=1, completed=1)
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


def _serial_port(arguments, board):
    from taylorvit.fpga.driver import SerialPort

    baud = arguments.baud
    if baud is None:
        baud = DEFAULT_BAUD if board is None else board.baud
    return SerialPort(arguments.port, baud), "on the board "


def _simulated_port(board, config):
    from taylorvit.simulation.simulated_board import SimulatedPort, build_board

    simulation = build_board(board, config)
    seconds = simulation.build.seconds
    return SimulatedPort(simulation), f"build {f'{seconds:.1f} s' if seconds else 'cached'}, simulation "
