"""Driver: an accelerator on a board, from Python.

`TaylorVit` is the accelerator, at any `Port`. It uses `Transfer`, which moves tensors and results, and `Link`, which
gets an answer to every request. A failure outside of the program is a `DriverError`, whose text is one line.
"""

from .device import JobReport, JobResult, TaylorVit
from .errors import BoardReset, DriverError, JobError, LinkTimeout, PortError, ProtocolError, RegisterError, WrongBoard
from .link import Link
from .ports import Port, SerialPort
from .requests import LinkStatistics
from .transfer import Transfer

__all__ = [
    "BoardReset",
    "DriverError",
    "JobError",
    "JobReport",
    "JobResult",
    "Link",
    "LinkStatistics",
    "LinkTimeout",
    "Port",
    "PortError",
    "ProtocolError",
    "RegisterError",
    "SerialPort",
    "TaylorVit",
    "Transfer",
    "WrongBoard",
]
