"""What can go wrong between a program and an accelerator on a board; every text is one line.

Wrong arguments are `ValueError` and `TypeError`, as everywhere. What the world does is a `DriverError`.
"""

from taylorvit.boundary.errors import CommandError

__all__ = ["BoardReset", "DriverError", "JobError", "LinkTimeout", "PortError", "ProtocolError", "RegisterError",
           "WrongBoard"]  # fmt: skip


class DriverError(CommandError):
    """Something beyond the program failed: port, link, board or job."""


class PortError(DriverError):
    """A port that cannot be opened, or that is gone."""


class LinkTimeout(DriverError):
    """The board does not answer, though everything was repeated."""


class ProtocolError(DriverError):
    """An intact answer that the protocol does not know."""


class WrongBoard(DriverError):
    """What answers is not the accelerator that the program was made for."""


class RegisterError(DriverError):
    """The accelerator refused a register access."""


class BoardReset(DriverError):
    """The board lost its state in the middle of a transfer: somebody reset it, or its power failed."""


class JobError(DriverError):
    """A job that did not go to its end as it should."""
