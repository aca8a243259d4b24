"""`taylorvit run --model` and `--memory-test`: the network accelerator of a board, or of a simulated one."""

from __future__ import annotations

from argparse import Namespace
from functools import partial

from taylorvit.boundary.command import console
from taylorvit.fpga.board import Board, board_names, load_board
from taylorvit.fpga.driver import TaylorVitNetwork
from taylorvit.fpga.driver.tape import check_tape as check_tape_for
from taylorvit.gen.presets import load_file, of_kind
from taylorvit.jobs.compiled_model import CompiledModel, check_tape, read_compiled_model
from taylorvit.jobs.network_on_board import on_accelerator, run_images_on, tape_remark
from taylorvit.jobs.patches import check_raster
from taylorvit.rtl.network.config import NetworkConfig

from .board_options import board_of
from .board_port import board_port
from .network_run import beside_golden, images_for, judged_images
from .verdict import progress_bars, transfer_bars

__all__ = ["network_of", "run_network"]

DEFAULT_SIMULATED_BOARD = "ulx3s-25f"  # small, so that its simulation is built soon


def run_network(arguments: Namespace) -> int:
    """Carries out `taylorvit run` of a model, a test of the memory, or both; returns the exit status."""
    if arguments.preset is not None:
        raise ValueError(
            "--preset must come with --input: a board's accelerators for models are its networks, --network"
        )
    model = None if arguments.model is None else read_compiled_model(arguments.model)
    board, config = _hardware(arguments, model)
    if model is not None and config is not None:
        check_tape(model.tape, config, model.name)
    images = None if model is None else images_for(model, arguments)  # before a test, which takes the tape away
    status = _test_memory(arguments, board, config, model) if arguments.memory_test else 0
    if model is None or images is None or status:
        return status
    return judged_images(model, images, arguments, partial(_run_images, arguments, board, config))


def _hardware(arguments, model):
    """Board and configuration; None for either if it may be any."""
    board = None if arguments.board is None else board_of(arguments.board)
    if arguments.config is not None:
        if arguments.network is not None:
            raise ValueError("--network must come without --config, which says what is on the board")
        config = of_kind(load_file(arguments.config), NetworkConfig, "run --model")
        return board_of(DEFAULT_SIMULATED_BOARD) if board is None and arguments.sim else board, config
    if board is not None:
        return board, network_of(board, arguments.network, model)
    if arguments.network is not None:
        raise ValueError("--network must come with --board, which has it")
    if not arguments.sim:
        return None, None
    if model is None:
        board = board_of(DEFAULT_SIMULATED_BOARD)
        return board, network_of(board, None, None)
    return _board_for(model)


def network_of(board: Board, name: str | None, model: CompiledModel | None) -> NetworkConfig:
    """The configuration of a board's network: the one named, or that of the model's tape, or the first.

    Args:
        board (Board): the board.
        name (str | None): the network that was named, if any.
        model (CompiledModel | None): the model, if it is there already.
    """
    if name is not None or model is None or not board.networks:
        return board.network(name).config
    fitting = [
        network.config for network in board.networks.values() if network.config.tape_hash == model.config.tape_hash
    ]
    if not fitting:
        raise ValueError(
            f"model must be compiled for a network of {board.name} ({', '.join(board.networks)}), not for "
            f"{model.config.name}: taylorvit compile MODEL --board {board.name} --network NAME"
        )
    return fitting[0]


def _board_for(model):
    """The first board with a network for the model's tape, rather one with the tape on the chip: that is faster."""
    boards = [load_board(name) for name in board_names()]
    found = [
        (board, network.config)
        for board in boards
        for network in board.networks.values()
        if network.config.tape_hash == model.config.tape_hash
    ]
    if not found:
        raise ValueError(
            f"model must be compiled for a network of a board, not for {model.config.name}: taylorvit compile MODEL "
            "--board BOARD --network NAME"
        )
    return min(found, key=lambda each: each[1].tape_source != "memory")


def _port(arguments, board, config, tape=b""):
    """The port; a simulated SDRAM has the tape already, which would take hours to go over a simulated line."""
    with progress_bars() as progress:
        return board_port(arguments, board, config, progress, tape)


def _opened(port, board, config):
    return TaylorVitNetwork(port, board=None if board is None else board.name, config=config)


def _run_images(arguments, board, config, model, images):
    """The model on the accelerator that was found, what came out, what has to, and rows for the table."""
    port, preparation = _port(arguments, board, config, model.tape)
    by_row = arguments.image_order == "raster"
    with _opened(port, board, config) as accelerator:
        found = on_accelerator(model, accelerator)
        if by_row:  # before a tape is sent, which may take minutes
            check_raster(model.vit.shape, accelerator.view.image_lanes)

        def run():
            with transfer_bars() as progress:
                bar = progress.add_task("tape", total=None)
                tape = accelerator.load(
                    model.tape, on_progress=lambda sent, total: progress.update(bar, completed=sent, total=total)
                )
            with progress_bars() as progress:
                bar = progress.add_task("images", total=len(images.pixels))
                outcome, remarks = run_images_on(
                    accelerator,
                    model,
                    images,
                    by_row=by_row,
                    prefix=preparation,
                    on_image=lambda done: progress.update(bar, completed=done),
                )
            return outcome, {"tape": tape_remark(tape), **remarks}

        (outcome, remarks), golden = beside_golden(model, images, run)
    return found, outcome, golden, remarks


def _test_memory(arguments, board, config, model):
    """Tests the memory of tapes, and prints what was found; exit status 1 if that is an error."""
    port, _preparation = _port(arguments, board, config)
    with _opened(port, board, config) as accelerator, transfer_bars() as progress:
        if model is not None:  # before the tape that is in the memory is lost
            check_tape_for(model.tape, accelerator.view, accelerator.memory.size, model.name)
        bar = progress.add_task("memory test", total=None)
        report = accelerator.test_memory(
            on_progress=lambda done, total: progress.update(bar, completed=done, total=total)
        )
        name = accelerator.view.name
    found = f"memory of tapes of {name}: {report.tested_bytes:,} bytes tested in {report.seconds:.2f} s, "
    if not report.errors:
        console().print(f"{found}no errors")
        return 0
    places = f"{report.errors:,} places of {report.piece} bytes are wrong, the first at byte {report.first:#x}"
    console().print(f"{found}{places}", style="red")
    return 1
