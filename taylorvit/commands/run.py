"""`taylorvit run`: a user's own tensors through an accelerator on a board, or on a simulated one.

    input.npz --> operands --> TaylorVit --> port: serial adapter | simulated board
                                   |
                                   z --> judgement: compared with the golden, table, z.npz

File formats, checks and table are those of `taylorvit simulate`. Cycles and utilization are the accelerator's own
counters: behind a serial line it mostly waits for input. Quantizing and comparing belong to `golden` and `verif`, which
are imported when they are needed.
"""

import time
from argparse import ArgumentParser
from pathlib import Path

from taylorvit.boundary.command import needs

from .options import add_board, add_board_configuration, add_input, board_configuration, board_of

__all__ = ["add_arguments", "run"]

DEFAULT_BAUD = 3_000_000
DEFAULT_SIMULATED_BOARD = "ulx3s-85f"


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", metavar="DEVICE", help="serial port of the board, for example /dev/ttyUSB0")
    where.add_argument("--sim", action="store_true", help="simulate the board, through its UART pins")
    add_board(parser, required=False, note="; with --port, the board's bitstream has to be its own")
    add_board_configuration(parser)
    parser.add_argument("--baud", metavar="N", type=int,
                        help=f"of the serial port; without it that of the board, or {DEFAULT_BAUD}")  # fmt: skip
    add_input(parser)
    parser.add_argument("-o", "--output", metavar="FILE.npz", type=Path, help="z, and all it comes from")


@needs("sim,fpga")
def run(arguments):
    """Carries out the command; returns the exit status: 0 if every bit equals the integer golden, else 1.

    Raises `ValueError` for a request that cannot be carried out, `CommandError` for what fails on the way.
    """
    from taylorvit.fpga.driver import TaylorVit
    from taylorvit.jobs.judgement import Outcome, check_output, conclude, progress_bars
    from taylorvit.jobs.operands import read_operands

    if arguments.sim and arguments.baud is not None:
        raise ValueError(f"--baud must come with --port, not with --sim: {arguments.baud!r}")
    board, config = _target(arguments)
    check_output(arguments.output, arguments.input)
    with progress_bars() as progress:
        if config is not None:
            operands = read_operands(arguments.input, config)  # before anything is built for it
        preparing = progress.add_task("building the simulation" if arguments.sim else f"connecting to {arguments.port}",
                                      total=None)  # fmt: skip
        port, preparation = _simulated_port(board, config) if arguments.sim else _serial_port(arguments, board)
        with TaylorVit(port, board=None if board is None else board.name, config=config) as accelerator:
            progress.update(preparing, total=1, completed=1)
            if config is None:
                config = accelerator.view
                operands = read_operands(arguments.input, config)
            job = operands.job
            running = progress.add_task("heads", total=len(job.q))
            began = time.monotonic()
            result = accelerator.run(job.q, job.k, job.v, _parameters(job.constants),
                                     on_progress=lambda heads: progress.update(running, completed=heads))  # fmt: skip
            seconds = time.monotonic() - began
            link = _describe(accelerator.link)
    jobs = [{"heads": job.heads, "counters": job.counters, "events": job.events} for job in result.jobs]
    outcome = Outcome(result.z, jobs, {"link": link, "time": f"{preparation}{seconds:.1f} s"})
    return conclude(outcome, operands, config, output=arguments.output)


def _target(arguments):
    """Board and configuration, each None if the hardware may be any."""
    name = DEFAULT_SIMULATED_BOARD if arguments.board is None and arguments.sim else arguments.board
    board = None if name is None else board_of(name)
    return board, board_configuration(arguments, board)


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


def _parameters(constants):
    from taylorvit.fpga.driver import JobParameters

    return JobParameters(shift_g=constants.shift_g, shift_z=constants.shift_z, c_v=constants.c_v, c_d=constants.c_d)


def _describe(link):
    statistics = link.statistics
    return (f"{statistics.sent_bytes:,} bytes there, {statistics.received_bytes:,} back, "
            f"{statistics.lost} of {statistics.requests:,} requests repeated")  # fmt: skip
