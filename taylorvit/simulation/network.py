"""A network accelerator under Verilator: images in, logits out, at the speed of the model itself.

    tape, beats of images --> files --> simulation, a process of its own --> logits, counters, trace
                                          (network.cpp: host, memory, source, sink)

The simulation is a C++ program around the model, without cocotb. Python writes its files, tells it which registers to
write and read, and judges nothing: `taylorvit.jobs.network_judgement` does.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import numpy as np

from taylorvit.boundary import programs
from taylorvit.boundary.errors import CommandError, reason_of
from taylorvit.gen.generate import top
from taylorvit.gen.verilog import emit, instances
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.control.registers import register_map

from .building import Build, build
from .dsp_cells import with_dsp_models
from .places import shown
from .running import runs_folder

__all__ = ["NetworkJob", "NetworkRun", "NetworkSimulation", "TapeMemory", "build_network", "simulate_network"]

MAIN = Path(__file__).with_name("network.cpp")

START = 1  # bit of CONTROL
HARMLESS = ("DENOMINATOR",)  # events that do not end a job

_LOGIT_BYTES = 4
_WORDS_OF_A_WRITE = 3  # scope, address, data


@dataclass(frozen=True, kw_only=True)
class TapeMemory:
    """The memory that holds the tape.

    Attributes:
        bytes_per_cycle (float | None): what it delivers at most; a beat a cycle if None.
        latency (int): cycles from the address of a burst to its first beat, at least 1.
    """

    bytes_per_cycle: float | None = None
    latency: int = 20


@dataclass(frozen=True, kw_only=True)
class NetworkJob:
    """What a network accelerator is given.

    Attributes:
        tape (bytes): the tape.
        beats (np.ndarray): images, uint8, (images, beats, image_lanes), as `taylorvit.jobs.patches` makes them.
        patches (int): patches of an image.
        patch_pixels (int): pixels of a patch, colours counted.
        classes (int): logits of an image.
        raster (tuple[int, int] | None): if images come row by row, pixels of a side of a patch, and patches beside each
            other.
        memory (TapeMemory): the memory that holds the tape.
        pauses (int): each channel rests in so many of 256 cycles, at random.
        seed (int): of these random numbers.
    """

    tape: bytes
    beats: np.ndarray
    patches: int
    patch_pixels: int
    classes: int
    raster: tuple[int, int] | None = None
    memory: TapeMemory = field(default_factory=TapeMemory)
    pauses: int = 0
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class NetworkRun:
    """What came out of a network accelerator.

    Attributes:
        logits (np.ndarray): int64, (images, classes); fewer images if an error ended the job.
        image_cycles (list[int | None]): cycles of each image: from the start of the job, or from the logits of the
            image before, to its own. None where that is not known, as of most images on a board.
        jobs (list[dict[str, int]]): the counters after each job, by name.
        events (frozenset[str]): names of the events that were raised.
        writes (np.ndarray | None): of a trace, uint32, (writes, 3): column, address and data of each write into the
            residual stream, in order.
        seconds (float): that the simulation took.
        cycles (int): that it simulated.
    """

    logits: np.ndarray
    image_cycles: list[int | None]
    jobs: list[dict[str, int]]
    events: frozenset[str]
    writes: np.ndarray | None
    seconds: float
    cycles: int


@dataclass(frozen=True)
class NetworkSimulation:
    """The simulation of a network accelerator.

    Attributes:
        build (Build): its executable.
        config (NetworkConfig): the accelerator.
        probes (tuple[str, ...]): of a trace, the memories of the residual stream, column by column.
    """

    build: Build
    config: NetworkConfig
    probes: tuple[str, ...] = ()


def build_network(config: NetworkConfig, *, trace: bool = False, waves: bool = False) -> NetworkSimulation:
    """Makes the simulation of a network accelerator, or finds the one made before.

    Args:
        config (NetworkConfig): the accelerator.
        trace (bool): whether its runs can tell what is written into the residual stream.
        waves (bool): whether its runs can record a waveform.

    Raises:
        ToolError: a tool is missing or refuses the Verilog.
    """
    component = top(config)
    probes: tuple[str, ...] = ()
    public: tuple[tuple[str, str], ...] = ()
    if trace:
        banks = [(path, bank) for path, bank in instances(component) if path.endswith(".residual_bank")]
        probes = tuple(f"{component.module_name}.{path}" for path, _bank in banks)
        public = tuple({(f"{component.prefix}{bank.module_name}", "write_*") for _path, bank in banks})
    made = build(
        with_dsp_models(emit(component)),
        component.module_name,
        simulator="verilator",
        waves=waves,
        main=MAIN,
        public=public,
    )
    return NetworkSimulation(made, config, probes)


def simulate_network(
    simulation: NetworkSimulation,
    job: NetworkJob,
    *,
    waveform: Path | None = None,
    on_image: Callable[[int], None] = lambda done: None,
) -> NetworkRun:
    """Sends images through the generated Verilog of a network accelerator, under Verilator.

    Args:
        simulation (NetworkSimulation): of `build_network`.
        job (NetworkJob): tape and images; more images than a job can have are further jobs.
        waveform (Path | None): a VCD of all signals is left there, if the simulation was built with waves.
        on_image (Callable): is called with the number of images whose logits have come.

    Raises:
        CommandError: the simulation broke off, or did not come to an end.
    """
    with _folder() as folder, _Host(simulation, job, folder, waveform, on_image) as host:
        registers = register_map(simulation.config)
        most = registers["IMAGES"].fields[0].maximum
        start = time.monotonic()
        host.prepare(registers)
        counters, events = [], frozenset[str]()
        for first in range(0, len(job.beats), most):
            images = min(most, len(job.beats) - first)
            events |= host.run(registers, images)
            counters.append(host.counters(registers))
            if events - {"DONE", *HARMLESS}:
                break
        host.close()
        logits = np.fromfile(folder / "logits", dtype="<i4").astype(np.int64)
        whole = len(host.image_cycles)
        writes = None
        if simulation.probes:
            writes = np.fromfile(folder / "trace", dtype="<u4").reshape(-1, _WORDS_OF_A_WRITE)
        return NetworkRun(
            logits=logits[: whole * job.classes].reshape(whole, job.classes),
            image_cycles=host.image_cycles,
            jobs=counters,
            events=events,
            writes=writes,
            seconds=time.monotonic() - start,
            cycles=host.cycle,
        )


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder for the files of one run, which is removed."""
    folder = Path(tempfile.mkdtemp(prefix="network-", dir=runs_folder())).absolute()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Host:
    """The host of a simulation: what it has written on its standard output.

    Attributes:
        image_cycles (list[int]): as in `NetworkRun`.
        cycle (int): of the simulation, when it last said it.
    """

    def __init__(self, simulation, job, folder, waveform, on_image):
        self.image_cycles: list[int | None] = []
        self.cycle = 0
        self._simulation, self._job, self._folder, self._on_image = simulation, job, folder, on_image
        self._since = 0  # cycle of the start, or of the image before
        self._command = [str(simulation.build.directory / "simulation"), *self._arguments(waveform)]

    def _arguments(self, waveform):
        job, config, folder = self._job, self._simulation.config, self._folder
        (folder / "tape").write_bytes(job.tape)
        (folder / "images").write_bytes(np.ascontiguousarray(job.beats, dtype=np.uint8).tobytes())
        memory = job.memory
        values = {
            "tape": folder / "tape",
            "tape_bytes": config.tape_bytes,
            "bytes_per_cycle": config.tape_bytes if memory.bytes_per_cycle is None else memory.bytes_per_cycle,
            "latency": memory.latency,
            "images": folder / "images",
            "image_beats": job.beats.shape[1],
            "image_bytes": config.image_lanes,
            "logits": folder / "logits",
            "pauses": job.pauses,
            "seed": job.seed,
            "+sdram": folder / "tape",  # for a model of a memory chip, where there is one
        }
        if self._simulation.probes:
            (folder / "probes").write_text("".join(f"{probe}\n" for probe in self._simulation.probes))
            values |= {"probes": folder / "probes", "trace": folder / "trace"}
        if waveform is not None:
            values["waves"] = waveform.absolute()
        return [f"{name}={value}" for name, value in values.items()]

    def __enter__(self):
        self._errors = tempfile.TemporaryFile()
        self._stack = contextlib.ExitStack()
        try:
            self._process = self._stack.enter_context(
                programs.started(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    cwd=self._folder,
                    env=programs.environment(),
                    bufsize=0,
                )
            )
        except OSError as error:
            raise CommandError(f"{self._command[0]} could not be started: {reason_of(error)}") from None
        return self

    def __exit__(self, *error):
        self._stack.close()
        self._errors.close()

    def prepare(self, registers) -> None:
        """Has the tape where the accelerator finds it, and events raise the interrupt."""
        job, config = self._job, self._simulation.config
        enabled = sum(1 << bit for name, (bit, _text) in registers.events.items() if name not in HARMLESS)
        self._write(registers, "INTERRUPT_ENABLE", enabled)
        if config.tape_source == "memory":
            self._accepted("TAPE_DATA", self._ask(f"fill {registers['TAPE_DATA'].offset}"))
        sizes = {"PATCHES": job.patches, "PATCH_PIXELS": job.patch_pixels, "CLASSES": job.classes}
        if job.raster is not None:
            sizes |= {"IMAGE_ORDER": 1, "PATCH_SIZE": job.raster[0], "PATCHES_A_ROW": job.raster[1]}
        for name, value in {**sizes, "TAPE_LENGTH": len(job.tape)}.items():
            self._write(registers, name, value)

    def run(self, registers, images: int) -> frozenset[str]:
        """One job; the events that it has raised, which are cleared."""
        self._write(registers, "IMAGES", images)
        self._write(registers, "CONTROL", START)
        self._since = self.cycle
        end = self._ask(f"run {images * self._limit()} {images}")
        raised = self._read(registers, "EVENTS")
        events = frozenset(name for name, (bit, _text) in registers.events.items() if raised >> bit & 1)
        if end[0] == "limit":
            raise CommandError(
                f"simulation of {self._simulation.config.name} must end within {images * self._limit():,} cycles, and "
                f"did not: {len(self.image_cycles)} images are done, events {', '.join(sorted(events)) or 'none'}"
            )
        self._write(registers, "EVENTS", raised)
        return events

    def counters(self, registers) -> dict[str, int]:
        """The counters of the last job, by name."""
        return {name: self._read(registers, name) for name in registers.counters}

    def close(self) -> None:
        """Ends the simulation; what it has written is complete then."""
        cast(IO, self._process.stdin).close()
        if self._process.wait() != 0:
            raise self._broken()

    def _limit(self) -> int:
        """Cycles of an image beyond which something hangs: eight times what the products and the memory need."""
        job, config = self._job, self._simulation.config
        memory = job.memory.bytes_per_cycle or config.tape_bytes
        tokens = job.patches + 2
        work = len(job.tape) * max(tokens, config.rows) / (config.rows * config.columns)
        resting = 256 / max(256 - job.pauses, 1)
        return round(8 * (work + len(job.tape) / memory + job.beats.shape[1]) * resting) + 1_000_000

    def _write(self, registers, name, value) -> None:
        self._accepted(name, self._ask(f"write {registers[name].offset} {value}"))

    def _accepted(self, name, answer) -> None:
        _written, response, cycle = answer
        if response != "0":
            raise CommandError(f"simulation of {self._simulation.config.name} refuses the write of {name}: {response}")
        self.cycle = int(cycle)

    def _read(self, registers, name) -> int:
        _value, word, response = self._ask(f"read {registers[name].offset}")
        if response != "0":
            raise CommandError(f"simulation of {self._simulation.config.name} refuses the read of {name}: {response}")
        return int(word)

    def _ask(self, line: str) -> list[str]:
        try:
            cast(IO, self._process.stdin).write(f"{line}\n".encode())
        except BrokenPipeError:
            raise self._broken() from None
        while True:
            answer = cast(IO, self._process.stdout).readline().decode().split()
            if not answer:
                raise self._broken()
            if answer[0] == "image":
                cycle, count = int(answer[1]), int(answer[2])
                if count != self._job.classes:
                    raise CommandError(f"logits of an image must be {self._job.classes}, not {count}")
                self.image_cycles.append(cycle - self._since)
                self._since = cycle
                self._on_image(len(self.image_cycles))
                continue
            if answer[0] in ("interrupt", "limit"):
                self.cycle = int(answer[1])
            return answer

    def _broken(self) -> CommandError:
        status = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        where = shown(self._simulation.build.directory)
        return CommandError(
            f"simulation of {self._simulation.config.name} in {where} ended with exit status {status}"
            + (f": {last}" if last else "")
        )
