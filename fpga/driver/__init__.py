"""Driver: an accelerator on a board, from Python.

`TaylorVit` is an attention accelerator, `TaylorVitNetwork` a network accelerator, at any `Port`. They use `Transfer`,
which moves tensors and results, and `Link`, which gets an answer to every request. A failure outside of the program is
a `DriverError`, whose text is one line.
"""

from .device import JobReport, JobResult, TaylorVit
from .errors import BoardReset, DriverError, JobError, LinkTimeout, PortError, ProtocolError, RegisterError, WrongBoard
from .link import Link
from .network import NetworkJobReport, NetworkResult, TaylorVitNetwork
from .ports import Port, SerialPort
from .requests import LinkStatistics
from .tape_memory import LoadReport, MemoryReport
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
    "LoadReport",
    "MemoryReport",
    "NetworkJobReport",
    "NetworkResult",
    "Port",
    "PortError",
    "ProtocolError",
    "RegisterError",
    "SerialPort",
    "TaylorVit",
    "TaylorVitNetwork",
    "Transfer",
    "WrongBoard",
]
