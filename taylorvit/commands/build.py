"""`taylorvit build`: bitstreams.

Exit status 1 is a build whose result must not be used: for its timing, its routing, its buffers, or its board's
baseline.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import CommandError, complain, console, folder, needs, real_number, whole_number
from taylorvit.boundary.writing import check_output_file, check_output_folder
from taylorvit.fpga.board import LARGEST_SEED
from taylorvit.fpga.flow.baseline import baseline_file, check_baseline, read_baseline, write_baseline
from taylorvit.fpga.flow.build import prepare
from taylorvit.fpga.flow.report_tables import report_table, summary_table

from .board_options import add_board, add_board_configuration, board_requests
from .stages import Stages

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Makes a bitstream, or reuses an existing one. The exit status is 1 if timing is not met, the router makes no "
        "progress, a buffer did not become block RAM, or --check finds a difference."
    )
    add_board(parser, required=True, several=True, note="; may be given several times")
    add_board_configuration(parser, networks=True)
    parser.add_argument(
        "--model",
        metavar="DIR",
        type=folder,
        help="a model that `taylorvit compile` has written, whose tape is in the memory on the chip from power-up on",
    )
    parser.add_argument(
        "--freq", metavar="MHZ", type=real_number(1, 1000, "MHz"), help="core clock (default: the preset's)"
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(1, LARGEST_SEED),
        help="seed of place and route (default: the preset's)",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=folder, default=Path("build"), help="output folder (default: build)"
    )
    parser.add_argument("--check", action="store_true", help="compare with the baseline of the board, or its network")
    parser.add_argument("--write-baseline", action="store_true", help="make this build the baseline")


@needs("fpga")
def run(arguments: Namespace) -> int:
    """Carries out the command; returns the exit status."""
    check_output_folder(arguments.output)
    import filelock  # noqa: F401 - is missed now, and not when there is something to lock

    try:
        return _build_all(arguments)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; the stages that are done will be used again") from None


def _build_all(arguments):
    screen = console()
    requests = [request for name in arguments.board for request in board_requests(name, arguments)]
    built, failures = [], []
    for request in requests:
        try:
            built.append(_build(screen, arguments, request))
        except CommandError as error:
            if len(requests) == 1:
                raise
            failures.append(f"{request.name}: {error}")
            complain("taylorvit", CommandError(failures[-1]))
    if len(requests) > 1:
        screen.print(summary_table(built))
        for failure in failures:
            screen.print(f"FAILED  {failure.splitlines()[0]}")
    return 1 if failures else 0


def _build(screen, arguments, request):
    """Builds, shows and checks one bitstream; returns its report."""
    baseline = baseline_file(request.name)
    if arguments.write_baseline:
        baseline.parent.mkdir(exist_ok=True)
        check_output_file(baseline)
    elif arguments.check:
        read_baseline(baseline)  # before the work
    build = prepare(request.board, request.config, **request.options)
    for why in build.toolchain.refused:
        screen.print(f"not used: {why}")
    screen.print(f"{request.board.title}, {request.config.name}")
    with Stages(screen) as progress:
        finished = build.run(progress)
    if finished.reused:
        screen.print("nothing has changed: this build was there already")
    table, lines = report_table(finished.report)
    screen.print(table)
    screen.print("\n".join(lines))
    screen.print(f"wrote  {finished.bitstream}\nwrote  {build.picture}\nwrote  {build.report_file}")
    if arguments.write_baseline:
        write_baseline(baseline, finished.report)
        screen.print(f"wrote  {baseline}")
    if arguments.check:
        check_baseline(baseline, finished.report)
        screen.print(f"agrees with {baseline}")
    return finished.report
