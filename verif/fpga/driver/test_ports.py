"""The serial port, at a pseudo terminal with the model of a board behind it; and every way in which it fails."""

import os
import sys
import threading
import time

import pytest
import serial

from taylorvit.fpga.driver import LinkTimeout, PortError, SerialPort, TaylorVit
from taylorvit.rtl.config import AcceleratorConfig
from verif.fpga.board_model import BoardModel

CONFIG = AcceleratorConfig(name="small", rows=4, columns=4, max_tokens=16, max_head_dim=8)
BAUD = 115_200


class Terminal:
    """A pseudo terminal: `path` is what a program opens, `unplug` takes it away. With a board, that answers."""

    def __init__(self, board: BoardModel | None = None):
        self._ours, self._theirs = os.openpty()
        self.path = os.ttyname(self._theirs)
        self._board = board
        self._plugged = True
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _answer(self):
        os.set_blocking(self._ours, False)
        while self._plugged:
            try:
                data = os.read(self._ours, 4096)
            except BlockingIOError:
                time.sleep(0.001)
                continue
            except OSError:
                return
            if self._board is not None:
                self._board.write(data)
                while answer := self._board.read(0.01):
                    os.write(self._ours, answer)

    def unplug(self):
        if self._plugged:
            self._plugged = False
            self._thread.join()
            os.close(self._ours)
            os.close(self._theirs)


@pytest.fixture
def terminal():
    terminal = Terminal(BoardModel(CONFIG, turn_around=0))
    yield terminal
    terminal.unplug()


def test_accelerator_answers_at_a_serial_port(terminal):
    with TaylorVit(SerialPort(terminal.path, BAUD), board="model", config=CONFIG) as accelerator:
        accelerator.write("TOKENS", 7)
        assert accelerator.read("TOKENS") == 7


def test_nothing_comes(terminal):
    port = SerialPort(terminal.path, BAUD)
    start = port.now()
    assert port.read(0.1) == b""
    assert 0.1 <= port.now() - start < 1
    start = port.now()
    assert port.read(0) == b""
    assert port.now() - start < 0.1
    port.close()


def test_silence_is_an_error(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(SerialPort, "patience", 0.02)
    with pytest.raises(
        LinkTimeout,
        match=f"{terminal.path} does not answer: IDENTIFY was sent 6 times in vain; is the "
        f"board's bitstream loaded, and is {BAUD} its baud",
    ):
        TaylorVit(SerialPort(terminal.path, BAUD)).open()
    terminal.unplug()


def test_unplugged_device_is_an_error(terminal):
    port = SerialPort(terminal.path, BAUD)
    terminal.unplug()
    with pytest.raises(PortError, match=f"{terminal.path} is gone: it was unplugged, or its driver failed"):
        port.read(1)
    with pytest.raises(PortError, match="is gone"):
        port.write(b"x")
    port.close()


def test_closed_port_is_an_error(terminal):
    port = SerialPort(terminal.path, BAUD)
    port.close()
    port.close()
    with pytest.raises(PortError, match="is gone: it was closed"):
        port.read(1)


def test_missing_device_is_an_error(tmp_path):
    text = r"^port must be a device that is there, not '.*/tty9' \(serial ports here: .*\)$"
    with pytest.raises(PortError, match=text):
        SerialPort(str(tmp_path / "tty9"), BAUD)


def test_file_is_no_device(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path):
        with pytest.raises(PortError, match=rf"^port must be a serial port, not '{path}' \(serial ports here: .*\)$"):
            SerialPort(str(path), BAUD)
    with pytest.raises(PortError, match="^port must be a serial port, not '/dev/null'"):
        SerialPort("/dev/null", BAUD)


def test_device_in_use_is_an_error(terminal):
    port = SerialPort(terminal.path, BAUD)
    with pytest.raises(PortError, match=f"{terminal.path} is in use by another program"):
        SerialPort(terminal.path, BAUD)
    port.close()


@pytest.mark.parametrize(
    "failure, text",
    [
        (serial.SerialException(13, "Permission denied"), "no permission to open /dev/tty1: add yourself to its group"),
        (ValueError("Invalid baud rate: 7"), "baud must be one that /dev/tty1 can do, not 12345"),
        (OSError(22, "Invalid argument"), "baud must be one that /dev/tty1 can do, not 12345"),
    ],
)
def test_refusals_are_errors(monkeypatch, failure, text):
    def refuse(*_arguments, **_options):
        raise failure

    monkeypatch.setattr(serial, "Serial", refuse)
    with pytest.raises(PortError, match=text):
        SerialPort("/dev/tty1", 12345)


def test_missing_package_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(PortError, match=r"need the Python package 'pyserial', .*: pip install \"taylorvit\[fpga\]\""):
        SerialPort("/dev/tty1", BAUD)


@pytest.mark.parametrize(
    "path, baud, error, text",
    [
        (3, BAUD, TypeError, "port must be the path of a device, not 3"),
        ("/dev/tty1", "fast", TypeError, "baud must be an integer, not 'fast'"),
        ("/dev/tty1", True, TypeError, "baud must be an integer, not True"),
        ("/dev/tty1", 0, ValueError, r"baud must be in 300\.\.12000000, not 0"),
        ("/dev/tty1", 299, ValueError, r"baud must be in 300\.\.12000000, not 299"),
        ("/dev/tty1", 12_000_001, ValueError, r"baud must be in 300\.\.12000000, not 12000001"),
    ],
)
def test_wrong_parameters_are_refused(path, baud, error, text):
    with pytest.raises(error, match=text):
        SerialPort(path, baud)
