"""Driver: an accelerator on a board, from Python.

`TaylorVit` is the accelerator; it works at any `Port`. Below it are `Transfer`, which moves tensors and results, and
`Link`, which has every request answered. Whatever the world does wrong is a `DriverError`, in one line.
"""

from .errors import BoardReset, DriverError, JobError, LinkTimeout, PortError, ProtocolError, RegisterError, WrongBoard
from .link import Link, LinkStatistics
from .ports import Port, SerialPort
from .taylorvit import JobReport, JobResult, TaylorVit
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
