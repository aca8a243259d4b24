"""`TaylorVitNetwork`: a network accelerator on a board, or on a simulated one, as a Python object.

    with TaylorVitNetwork(SerialPort("/dev/ttyUSB0", 3_000_000)) as accelerator:
        accelerator.load(tape)                      # nothing is sent if it is there already
        result = accelerator.run(beats, patches=49, patch_pixels=16, classes=10)
        result.logits                               # (images, classes), int64
        result.jobs[0].counters["CYCLES"]

The tape is that of a compiled model (`taylorvit compile`), and `taylorvit.jobs.patches` makes beats of images. What the
accelerator is, it tells by its registers. After a call that fails, the tape stays in the memory.
"""

from dataclasses import dataclass

import numpy as np

from taylorvit.rtl.network.control.host_view import LAYOUT, VIEW_REGISTERS, NetworkView
from taylorvit.rtl.network.control.registers import register_map

from .accelerator import Accelerator
from .board_memory import BoardMemory
from .hardware import Hardware
from .images import LOGIT_BYTES, check_images, image_packet, logits_from_bytes
from .tape_memory import TapeMemory

__all__ = ["NetworkJobReport", "NetworkResult", "TaylorVitNetwork"]


@dataclass(frozen=True)
class NetworkJobReport:
    """What the accelerator said of one job.

    Attributes:
        images (int): number of its images.
        counters (dict[str, int]): register name -> value, of the counters that the accelerator has.
        events (frozenset[str]): names of the events.
    """

    images: int
    counters: dict[str, int]
    events: frozenset[str]


@dataclass(frozen=True)
class NetworkResult:
    """What came out of the accelerator.

    Attributes:
        logits (np.ndarray): int64, (images, classes).
        jobs (tuple[NetworkJobReport, ...]): the jobs that it took.
    """

    logits: np.ndarray
    jobs: tuple[NetworkJobReport, ...]


class TaylorVitNetwork(Accelerator):
    """A network accelerator at a port; open it with `open` or a `with` statement.

    Args:
        port (Port): the line to the board; `close` closes it, too.
        board (str | None): name of the board that its bitstream must be built for; None for any.
        config (NetworkConfig | None): the configuration that it must be built from; without `board`, what its registers
            tell alone must agree. None for any.

    Attributes:
        port (Port): the line.
        link (Link): the link over it, with its statistics, once open.
        view (NetworkView): the accelerator's sizes and limits, by its registers, once open.
        memory (TapeMemory): the memory of its tape, once open.

    Raises:
        ValueError: `board` is given without `config`.
    """

    hardware = Hardware(
        layout=LAYOUT,
        view=NetworkView,
        view_registers=VIEW_REGISTERS,
        register_map=register_map,
        beat_bytes=lambda view: view.image_lanes,
    )
    items, operands = "images", "tape and images"

    view: NetworkView
    memory: TapeMemory

    def open(self):
        """Finds out what is at the port, checks that it is what was expected, and resets it (`Accelerator.open`)."""
        super().open()
        self.memory = (BoardMemory if self.view.tape_source == "axi" else TapeMemory)(self)
        self._tape_length = None

    def load(self, tape, *, on_progress=lambda sent, total: None):
        """Has a tape in the accelerator's memory: sends what is not there, and verifies it.

        After an interruption, whatever it was, another call goes on where this one was.

        Args:
            tape (bytes): the tape.
            on_progress (Callable): is called with the bytes that have been sent, and with how many there are to send;
                never if the tape is there.

        Returns:
            LoadReport: what it took.

        Raises:
            ValueError: it is no tape, or one for another configuration, or longer than the memory.
            WrongBoard: the accelerator has no memory that the link can fill.
            JobError: a job runs, or the memory does not keep what is written to it.
            BoardReset: the board was reset.
        """
        self._require_open()
        with self._settled():
            self._require_idle()
            self._tape_length = None
            report = self.memory.load(bytes(tape), on_progress)
            self._tape_length = len(tape)
        return report

    def test_memory(self, *, on_progress=lambda done, total: None):
        """Tests the memory of tapes. The tape that was in it is lost.

        Args:
            on_progress (Callable): is called with how much is done, and with how much there is.

        Returns:
            MemoryReport: what was found.

        Raises:
            WrongBoard: the accelerator has no such memory.
            JobError: a job runs, or the memory does not answer.
            BoardReset: the board was reset.
        """
        self._require_open()
        with self._settled():
            self._require_idle()
            self._tape_length = None
            return self.memory.test(on_progress)

    def run(
        self, images, *, patches, patch_pixels, classes, raster=None, on_progress=lambda done: None,
        on_logits=lambda image, logits: None,
    ):  # fmt: skip
        """Classifies images with the tape that was loaded, as many in flight as line and board hold.

        Args:
            images (np.ndarray): beats, uint8, (images, beats, image_lanes).
            patches (int): patches of an image.
            patch_pixels (int): pixels of a patch, colours counted.
            classes (int): logits of an image.
            raster (tuple[int, int] | None): if images come row by row, pixels of a side of a patch, and patches beside
                each other; None if they come patch by patch.
            on_progress (Callable): is called with the number of images whose logits have come, whenever it grows.
            on_logits (Callable): is called with the index and the logits, int64, of each image as they come.

        Returns:
            NetworkResult: the logits, and what the accelerator said of its jobs.

        Raises:
            TypeError: images are no bytes.
            ValueError: images or sizes that the accelerator cannot take, or no tape was loaded.
            JobError: a job did not end as it should.
            BoardReset: the board was reset.
        """
        self._require_open()
        if self._tape_length is None:
            raise ValueError(f"cannot classify images on {self.port.name}: no tape is loaded; call load first")
        sizes = {"PATCHES": patches, "PATCH_PIXELS": patch_pixels, "CLASSES": classes, "IMAGE_ORDER": 0}
        if raster is not None:
            sizes |= {"IMAGE_ORDER": 1, "PATCH_SIZE": raster[0], "PATCHES_A_ROW": raster[1]}
        self._registers.writes(sizes)  # whether they are in range
        check_images(images, self.view, patches=patches, patch_pixels=patch_pixels, raster=raster)
        per_job = self._registers["IMAGES"].fields[0].maximum
        logits, jobs = [], []
        with self._settled():
            for first in range(0, len(images), per_job):

                def on_image(index, of_image, first=first):
                    on_logits(first + index, of_image)
                    on_progress(first + index + 1)

                of_job, job = self._run_job(images[first : first + per_job], sizes, on_image)
                logits.append(of_job)
                jobs.append(job)
        return NetworkResult(np.concatenate(logits), tuple(jobs))

    def _run_job(self, images, sizes, on_image):
        classes = sizes["CLASSES"]
        self._require_idle()
        tape = {"TAPE_BASE": 0, "TAPE_LENGTH": self._tape_length}
        self.set_parameters({**sizes, **tape, "IMAGES": len(images)})
        data, counters, events = self._compute(
            [image_packet(image) for image in images],
            LOGIT_BYTES * classes,
            on_result=lambda image, of_image: on_image(image, logits_from_bytes(of_image, classes)[0]),
        )
        return logits_from_bytes(data, classes), NetworkJobReport(len(images), counters, events)
