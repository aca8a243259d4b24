"""The hardware behind `taylorvit serve`: an accelerator in simulation, or a board, which may be simulated as well."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from taylorvit.compiler import FitError
from taylorvit.fpga.board import Board
from taylorvit.fpga.driver import Port
from taylorvit.jobs.compiled_model import CompiledModel, read_compiled_model
from taylorvit.web.classifier import Classifier

from .board_network import network_of
from .board_options import board_of
from .board_port import board_port
from .model_choice import chosen_model
from .options import network_configuration_of
from .verdict import progress_bars, transfer_bars

__all__ = ["hardware_of"]


def hardware_of(arguments: Namespace, default_model: str) -> Classifier:
    """The hardware that is served, with its model, and bars while it is made ready.

    Args:
        arguments (Namespace): the parsed ones of `taylorvit serve`.
        default_model (str): name of the bundled model that is taken if --model names none.

    Raises:
        ValueError: arguments that contradict each other, or a default that does not fit the board.
    """
    model: str = default_model if arguments.model is None else arguments.model
    named = arguments.preset is not None or arguments.config is not None
    if arguments.board is None and arguments.network is not None:
        raise ValueError("--network must come with --board, which has it")
    if arguments.sim and arguments.baud is not None:
        raise ValueError(f"--baud must come with --port, not with --sim: {arguments.baud!r}")
    if arguments.sim and arguments.board is None:
        config = network_configuration_of(arguments, "serve") if named else None
        return _simulated(chosen_model(model, config), arguments.clock)
    if named or arguments.clock is not None:
        given = "--clock" if not named else "--preset" if arguments.preset is not None else "--config"
        raise ValueError(f"{given} must come with --sim alone: a board has its own")
    if arguments.board is None and arguments.model is None:
        raise ValueError(
            f"--port must come with --model, a folder of `taylorvit compile`, or with --board: the default model, "
            f"{default_model}, has to be compiled for a board"
        )
    board = None if arguments.board is None else board_of(arguments.board)
    try:
        compiled = _model_for(model, arguments.network, board)
    except FitError as error:
        if arguments.model is not None:
            raise
        raise ValueError(f"--model must be one for the board, not the default, {default_model}: {error}") from None
    return _on_board(compiled, board, arguments)


def _simulated(model: CompiledModel, clock_mhz: float | None) -> Classifier:
    from taylorvit.web.simulated import SimulatedClassifier

    with progress_bars() as progress:
        progress.add_task(f"preparing the simulation of {model.config.name}", total=None)
        return SimulatedClassifier(model, **({} if clock_mhz is None else {"clock_mhz": clock_mhz}))


def _model_for(name: str, network: str | None, board: Board | None) -> CompiledModel:
    """The model, for a network of the board if that is known: the one named, or that of the model."""
    compiled = bool(name) and Path(name).is_dir()
    if board is None:
        if not compiled:
            raise ValueError(f"--model must be a folder of `taylorvit compile`, or come with --board, not {name!r}")
        return read_compiled_model(name)
    if network is None and name in board.networks:
        network = name
    return chosen_model(name, network_of(board, network, read_compiled_model(name) if compiled else None))


def _on_board(model: CompiledModel, board: Board | None, arguments: Namespace) -> Classifier:
    from taylorvit.web.board import BoardClassifier

    config = None if board is None else model.config

    with progress_bars() as progress:
        first = [board_port(arguments, board, config, progress)[0]]

    def open_port() -> Port:
        return first.pop() if first else board_port(arguments, board, config, progress_bars())[0]

    with transfer_bars() as transfer:
        bar = transfer.add_task("tape", total=None)
        return BoardClassifier(
            model,
            open_port,
            board=None if board is None else board.name,
            config=config,
            on_tape=lambda sent, total: transfer.update(bar, completed=sent, total=total),
        )
