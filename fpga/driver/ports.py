"""Ports: how bytes reach a board and come back, and what time it is there.

A port is a full-duplex line of bytes with a clock. `Link` needs no more of it than `Port` says, so that a serial
adapter, a simulated board (`taylorvit.simulation.simulated_board`) and a model in a test are all the same to it. The
clock belongs to the
port because waiting does: a second on a simulated board is a second of the simulated hardware, however long
simulating it takes.
"""

import contextlib
import errno
import time
from abc import ABC, abstractmethod

from taylorvit.boundary.errors import install_command

from .errors import PortError

__all__ = ["Port", "SerialPort"]


class Port(ABC):
    """A line to a board.

    Attributes
    ----------
    name: what to call it in messages.
    baud: bits a second; a byte takes ten of them.
    patience: seconds that an answer may take, beyond the time of its bytes on the line: adapters and operating systems
        keep bytes for a while, and the board gives up a frame that broke off after 50 ms.
    stall: seconds without any progress after which a transfer is given up.
    """

    name: str
    baud: int
    patience = 0.25
    stall = 10.0

    @abstractmethod
    def write(self, data):
        """Queues `data` (bytes) for sending behind what was queued before; `PortError` if the line is gone."""

    @abstractmethod
    def read(self, timeout):
        """What has come, as soon as that is at least one byte; empty if nothing came within `timeout` seconds."""

    @abstractmethod
    def now(self):
        """Seconds of the clock that the `timeout` of `read` is measured by."""

    @abstractmethod
    def close(self):
        """Ends the connection; a second time, nothing."""


class SerialPort(Port):
    """A serial adapter, through pyserial.

    Parameters
    ----------
    path: the device, for example /dev/ttyUSB0 or COM3.
    baud: bits a second, those of the board's link.

    The device is opened exclusively. Adapters of FTDI keep what came for 16 ms before they hand it on; on Linux they
    are asked not to, since the link waits for answers (see "low latency" in docs/fpga.md).

    Raises
    ------
    TypeError, ValueError: of the parameters. PortError: no pyserial, no such device, no permission, a device that is in
    use or does not know the baud; later, from any method, a device that was unplugged.
    """

    _SLICE = 0.02  # seconds that pyserial waits at once; its timeout is not changed while the port is open
    _WRITE_LIMIT = 5.0  # seconds for a device to take what is written

    def __init__(self, path, baud):
        if not isinstance(path, str):
            raise TypeError(f"port must be the path of a device, not {path!r}")
        if not isinstance(baud, int) or isinstance(baud, bool):
            raise TypeError(f"baud must be an integer, not {baud!r}")
        if baud < 1:
            raise ValueError(f"baud must be positive, not {baud!r}")
        try:
            import serial
        except ModuleNotFoundError:
            raise PortError(
                f"serial ports need the Python package 'pyserial', which is not installed: {install_command('fpga')}"
            ) from None
        self.name = path
        self.baud = baud
        self._failures = (serial.SerialException, OSError)
        self._serial = self._open(serial)

    def _open(self, serial):
        try:
            device = serial.Serial(self.name, self.baud, timeout=self._SLICE, write_timeout=self._WRITE_LIMIT,
                                   exclusive=True)  # fmt: skip
        except Exception as error:  # pyserial lets termios.error, OSError and ValueError through
            raise PortError(self._why_not_open(error)) from None
        if hasattr(device, "set_low_latency_mode"):
            with contextlib.suppress(ValueError, OSError):  # not every adapter knows the setting
                device.set_low_latency_mode(True)
        return device

    def _why_not_open(self, error):
        number = getattr(error, "errno", None)
        if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            here = ", ".join(_serial_ports()) or "none"
            return f"port must be a device that is there, not {self.name!r} (serial ports here: {here})"
        if number in (errno.EACCES, errno.EPERM):
            return f"no permission to open {self.name}: add yourself to its group, usually `dialout` or `uucp`"
        if number in (errno.EBUSY, errno.EAGAIN):
            return f"{self.name} is in use by another program"
        if isinstance(error, (ValueError, OverflowError)) or number == errno.EINVAL:
            return f"baud must be one that {self.name} can do, not {self.baud!r}"
        return f"{self.name} cannot be opened as a serial port: {error}"

    def write(self, data):
        with self._disconnection():
            self._serial.write(data)

    def read(self, timeout):
        deadline = time.monotonic() + timeout
        with self._disconnection():
            while True:
                waiting = self._serial.in_waiting
                # With nothing there, pyserial waits one slice for a first byte.
                data = self._serial.read(max(waiting, 1)) if waiting or timeout else b""
                if data or time.monotonic() >= deadline:
                    return data

    def now(self):
        return time.monotonic()

    def close(self):
        self._serial.close()

    @contextlib.contextmanager
    def _disconnection(self):
        if not self._serial.is_open:
            raise PortError(f"{self.name} is gone: it was closed")
        try:
            yield
        except self._failures as error:
            raise PortError(f"{self.name} is gone: it was unplugged, or its driver failed ({error})") from None


def _serial_ports():
    from serial.tools import list_ports

    return sorted(port.device for port in list_ports.comports())
