"""The command line: what it says of requests that cannot be met."""

from __future__ import annotations

import numpy as np
import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.top import BoardTop
from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.config import AcceleratorConfig
from verif.regression.network.models import network_of

from .__main__ import jobs_of, main
from .designs import ACCELERATORS, LEAN_NETWORK, LEAN_NETWORKS, NETWORK, NETWORKS, ON_BOARDS, SHAPES, SOFTMAX
from .routed_board import board_with_fast_link


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "one of the arguments --family --board is required"),
        (["--family", "other"], "invalid choice: 'other'"),
        (["--board", "ulx3s-25f", "--stage", "post-synthesis"], "stage of a board must be post-route"),
        (["--family", "ice40", "--network"], "family must be ecp5 with --network, not 'ice40'"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_configuration_that_cannot_be_read(tmp_path, capsys):
    assert main(["--family", "ecp5", "--config", str(tmp_path / "none.toml")]) == 2
    assert "error: " in capsys.readouterr().out


def test_board_whose_routed_cells_have_no_models(capsys):
    assert main(["--board", "tang-nano-20k"]) == 2
    assert "family of a board must be one of ecp5, ice40, not 'gowin'" in capsys.readouterr().out


def test_board_with_a_network(capsys):
    assert main(["--board", "ulx3s-25f", "--preset", "vit-tiny-4x4"]) == 2
    assert "netlist of a board must have a configuration of accelerator 'attention'" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in board_names() if load_board(name).family.name in ON_BOARDS])
def test_boards_that_can_be_simulated(name):
    board = board_with_fast_link(name)
    BoardTop(board, ON_BOARDS[board.family.name])  # which refuses a board and a configuration that do not fit


def test_jobs_fit_the_configuration():
    configs = {**ACCELERATORS, "softmax": SOFTMAX}
    smallest = AcceleratorConfig(
        name="smallest", rows=2, columns=1, data_width=2, max_tokens=1, max_head_dim=1, stream_width=8, max_heads=1
    )
    for config, shapes in [(smallest, jobs_of(smallest)), *((configs[name], SHAPES[name]) for name in SHAPES)]:
        for heads, tokens, head_dim in shapes:
            assert 1 <= heads <= config.max_heads
            assert 1 <= tokens <= config.max_tokens
            assert 1 <= head_dim <= config.max_head_dim
        assert shapes[0][2] == config.max_head_dim


def test_networks_fit_the_configuration():
    for shape, _activity in NETWORKS:
        shape = VitShape(**shape)
        assert shape.tokens <= NETWORK.max_tokens
        assert shape.width <= NETWORK.max_width
        assert shape.classes <= NETWORK.max_classes
    assert shape.tokens == NETWORK.max_tokens - 1 and shape.width == NETWORK.max_width  # the last one fills it


def test_images_reach_the_logits_of_lean_networks():
    networks = [network_of(VitShape(**shape), seed, LEAN_NETWORK) for seed, (shape, _) in enumerate(LEAN_NETWORKS)]
    several = [network.logits(network.images(np.random.default_rng(1), 4)) for network in networks]
    assert [len(set(map(tuple, logits))) > 1 for logits in several] == [True, False, True]
