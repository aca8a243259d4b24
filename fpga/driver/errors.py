"""What can fail between a program and an accelerator on a board; every text is one line.

A wrong argument is a `ValueError` or `TypeError`, as everywhere. A failure outside of the program is a `DriverError`.
"""

from taylorvit.boundary.errors import CommandError

__all__ = [
    "BoardReset",
    "DriverError",
    "JobError",
    "LinkTimeout",
    "PortError",
    "ProtocolError",
    "RegisterError",
    "WrongBoard",
]


class DriverError(CommandError):
    """A failure outside of the program: of port, link, board or job."""


class PortError(DriverError):
    """A port that cannot be opened, or that is gone."""


class LinkTimeout(DriverError):
    """The board does not answer, although every request was repeated."""


class ProtocolError(DriverError):
    """An intact answer that the protocol does not know."""


class WrongBoard(DriverError):
    """Not the accelerator that the program expects."""


class RegisterError(DriverError):
    """The accelerator refused a register access."""


class BoardReset(DriverError):
    """The board lost its state in the middle of a transfer: somebody reset it, or its power failed."""


class JobError(DriverError):
    """A job that did not end as it should."""
