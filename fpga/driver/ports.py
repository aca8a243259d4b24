"""Ports: lines to a board, each with its clock.

A port is a full-duplex line of bytes with a clock. `Link` uses nothing but `Port`, so a serial adapter, a simulated
board (`taylorvit.simulation.simulated_board`) and a model in a test work alike. The clock belongs to the port, since
time-outs do: on a simulated board a second is a second of the simulated hardware, however long its simulation takes.
"""

import contextlib
import errno
import time
from abc import ABC, abstractmethod
from pathlib import Path

from taylorvit.boundary.errors import install_command
from taylorvit.fpga.protocol import LEAST_BAUD, MOST_BAUD

from .errors import PortError

__all__ = ["Port", "SerialPort"]

#: What pyserial lets through when it opens a device; its own SerialException is an OSError.
_OPENING_FAILURES: tuple[type[Exception], ...] = (OSError, ValueError, OverflowError)
with contextlib.suppress(ModuleNotFoundError):  # Windows has none
    import termios

    _OPENING_FAILURES += (termios.error,)


class Port(ABC):
    """A line to a board.

    Attributes:
        name (str): what to call it in messages.
        baud (int): bits a second; a byte takes ten of them.
        patience (float): seconds that an answer may take, beyond the time of its bytes on the line: adapters and
            operating systems hold bytes back for a while, and the board gives up a frame 50 ms after it broke off.
        stall (float): seconds without progress after which a transfer is given up.
    """

    name: str
    baud: int
    patience = 0.25
    stall = 10.0

    @abstractmethod
    def write(self, data):
        """Queues bytes for sending, behind those that were queued before.

        Args:
            data (bytes): the bytes.

        Raises:
            PortError: the line is gone.
        """

    @abstractmethod
    def read(self, timeout):
        """Waits until bytes have come.

        Args:
            timeout (float): how long to wait, in seconds.

        Returns:
            bytes: what has come, as soon as that is at least one byte; empty after the time-out.

        Raises:
            PortError: the line is gone.
        """

    @abstractmethod
    def now(self):
        """The time, by the clock that measures the time-out of `read`.

        Returns:
            float: seconds since some moment.
        """

    @abstractmethod
    def close(self):
        """Ends the connection; does nothing if that was done before."""


class SerialPort(Port):
    """A serial adapter, through pyserial.

    The device is opened exclusively. FTDI's adapters hold back what came for 16 ms; on Linux they are told not to,
    since the link waits for answers (see "low latency" in docs/fpga.md).

    Args:
        path (str): the device, for example /dev/ttyUSB0 or COM3.
        baud (int): bits a second of the board's link.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: `baud` is none that a board can have.
        PortError: pyserial is not installed, or the device is missing, in use, not permitted or not capable of the
            baud; from any method: the device was unplugged.
    """

    _SLICE = 0.02  # seconds of one wait of pyserial, whose time-out is not changed while the port is open
    _WRITE_LIMIT = 5.0  # seconds in which a device must take what is written

    def __init__(self, path, baud):
        if not isinstance(path, str):
            raise TypeError(f"port must be the path of a device, not {path!r}")
        if not isinstance(baud, int) or isinstance(baud, bool):
            raise TypeError(f"baud must be an integer, not {baud!r}")
        if not LEAST_BAUD <= baud <= MOST_BAUD:
            raise ValueError(f"baud must be in {LEAST_BAUD}..{MOST_BAUD}, not {baud!r}")
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
            device = serial.Serial(
                self.name, self.baud, timeout=self._SLICE, write_timeout=self._WRITE_LIMIT, exclusive=True
            )
        except _OPENING_FAILURES as error:
            raise PortError(self._why_not_open(error)) from None
        if hasattr(device, "set_low_latency_mode"):
            with contextlib.suppress(ValueError, OSError):  # not every adapter knows the setting
                device.set_low_latency_mode(True)
        return device

    def _why_not_open(self, error):
        number = getattr(error, "errno", None)
        if number is None and error.__context__ is not None:  # of termios, which pyserial tells as a text
            number = next(iter(error.__context__.args), None)
        path = Path(self.name)
        is_other = path.is_file() or path.is_dir()
        if is_other or number in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTTY):
            here = ", ".join(_serial_ports()) or "none"
            rule = "a serial port" if is_other or number == errno.ENOTTY else "a device that is there"
            return f"port must be {rule}, not {self.name!r} (serial ports here: {here})"
        if number in (errno.EACCES, errno.EPERM):
            return f"no permission to open {self.name}: add yourself to its group, usually `dialout` or `uucp`"
        if number in (errno.EBUSY, errno.EAGAIN):
            return f"{self.name} is in use by another program"
        if isinstance(error, (ValueError, OverflowError)) or number == errno.EINVAL:
            return f"baud must be one that {self.name} can do, not {self.baud!r}"
        return f"{self.name} cannot be opened as a serial port: {error}"

    def write(self, data):
        """Queues bytes for sending (`Port.write`)."""
        with self._disconnection():
            self._serial.write(data)

    def read(self, timeout):
        """Waits until bytes have come (`Port.read`)."""
        deadline = time.monotonic() + timeout
        with self._disconnection():
            while True:
                waiting = self._serial.in_waiting
                # If nothing is there, pyserial waits one slice for a first byte.
                data = self._serial.read(max(waiting, 1)) if waiting or timeout else b""
                if data or time.monotonic() >= deadline:
                    return data

    def now(self):
        """The time (`Port.now`)."""
        return time.monotonic()

    def close(self):
        """Ends the connection (`Port.close`)."""
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
