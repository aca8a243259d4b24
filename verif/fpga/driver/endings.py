"""How a board may end in the middle of a job, and what the driver says then."""

import pytest

from taylorvit.fpga.driver import BoardReset, LinkTimeout, PortError

__all__ = ["every_ending"]

every_ending = pytest.mark.parametrize(
    "happens, error, text",
    [
        (lambda board: setattr(board, "unplugged", True), PortError, "model is gone: it was unplugged"),
        (lambda board: setattr(board, "mute", True), LinkTimeout, "model does not answer"),
        (lambda board: board.power_cycle(), BoardReset, "board on model was reset during the transfer"),
    ],
    ids=["unplugged", "mute", "reset"],
)
