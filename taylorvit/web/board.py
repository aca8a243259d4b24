"""The network accelerator of a board, or of a simulated one, as a classifier."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from taylorvit.fpga.driver import DriverError, Port, PortError, TaylorVitNetwork, WrongBoard
from taylorvit.jobs.compiled_model import CompiledModel
from taylorvit.jobs.images import Images
from taylorvit.jobs.network_on_board import run_images_on
from taylorvit.rtl.network.config import NetworkConfig

from .classifier import Classification, Classifier

__all__ = ["BoardClassifier"]


class BoardClassifier(Classifier):
    """A board with a model's tape in its memory.

    The tape is loaded when this is made. After an error the line is closed; the next image opens it again, and loads
    what is missing of the tape: a board that was plugged out works again when it is back.

    Args:
        model (CompiledModel): the model, compiled for the accelerator.
        open_port (Callable[[], Port]): opens the line to the board.
        board (str | None): name of the board that it must be, None for any.
        config (NetworkConfig | None): the accelerator that must be on it, None for any.
        on_tape (Callable[[int, int], None]): is called with the bytes of the tape that were sent, and with how many
            there are to send.

    Raises:
        ValueError: the tape is for another accelerator.
        DriverError: whatever the world does wrong.
    """

    def __init__(
        self,
        model: CompiledModel,
        open_port: Callable[[], Port],
        *,
        board: str | None = None,
        config: NetworkConfig | None = None,
        on_tape: Callable[[int, int], None] = lambda sent, total: None,
    ) -> None:
        self.model = model
        self._open_port, self._board, self._config, self._on_tape = open_port, board, config, on_tape
        self._lock = threading.Lock()  # one image at a time, and none while the line is closed
        self._closing = threading.Event()
        self._accelerator: TaylorVitNetwork | None = None
        with self._lock:
            accelerator = self._opened()
        self.place = f"{accelerator.view.name} at {accelerator.port.name}"
        self.clock_mhz = accelerator.link.identification.clock_hz / 1e6

    def classify(self, pixels: np.ndarray) -> Classification:
        """Sends one image to the board, as `Classifier` says."""
        with self._lock:
            try:
                accelerator = self._opened()
                run, _remarks = run_images_on(
                    accelerator, self.model, Images(pixels[np.newaxis], ["the image"], [None])
                )
            except DriverError:
                self._drop()
                raise
            except ValueError as error:  # what is at the line now takes no such tape
                self._drop()
                raise WrongBoard(str(error)) from None
        return Classification(run.logits[0], _cycles(run.jobs[0]))

    def close(self) -> None:
        """Closes the line; an image that is on its way is given up."""
        self._closing.set()
        with self._lock:
            self._drop()

    def _opened(self) -> TaylorVitNetwork:
        """The accelerator with the tape, connected anew if it has to be."""
        if self._accelerator is None:
            port = _Interruptible(self._open_port(), self._closing)
            accelerator = TaylorVitNetwork(port, board=self._board, config=self._config)
            accelerator.open()
            self._accelerator = accelerator
            try:
                accelerator.load(self.model.tape, on_progress=self._on_tape)
            except BaseException:
                self._drop()
                raise
        return self._accelerator

    def _drop(self) -> None:
        if self._accelerator is not None:
            with suppress(DriverError):  # it may be gone
                self._accelerator.close()
            self._accelerator = None


def _cycles(counters: dict[str, int]) -> int | None:
    """Cycles of the only image of a job, without those in which it was awaited on the line; None if nobody counts."""
    if "CYCLES" not in counters:
        return None
    return counters["CYCLES"] - counters.get("STALL_IMAGE", 0)


class _Interruptible(Port):
    """A port that fails as soon as an event is set, for whoever waits at it in another thread.

    Args:
        port (Port): the port.
        interrupted (threading.Event): the event.
    """

    def __init__(self, port: Port, interrupted: threading.Event) -> None:
        self._port, self._interrupted = port, interrupted
        self.name, self.baud, self.patience, self.stall = port.name, port.baud, port.patience, port.stall

    def write(self, data):
        """Queues bytes for sending (`Port.write`)."""
        self._check()
        self._port.write(data)

    def read(self, timeout):
        """Waits until bytes have come (`Port.read`)."""
        self._check()
        return self._port.read(timeout)

    def now(self):
        """The time (`Port.now`)."""
        return self._port.now()

    def close(self):
        """Ends the connection (`Port.close`)."""
        self._port.close()

    def _check(self):
        if self._interrupted.is_set():
            raise PortError(f"{self.name} is gone: it was closed")
