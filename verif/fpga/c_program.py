"""A C program beside a simulated accelerator: its registers and streams are those of the simulation.

    main of a C file --> C driver --> c_port.c --> AXI4-Lite and AXI4-Stream masters at the simulated ports

The C sources become a shared object, which the bench loads: its `main` runs as native code in a thread of its own, and
each access to a register, packet to a stream or wait takes the simulation on until it is done.
"""

from __future__ import annotations

import ctypes
import functools
import re
import shlex
import subprocess
from collections import deque
from collections.abc import Callable
from pathlib import Path

import cocotb
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp, AxiStreamFrame

from taylorvit.rtl.control.description import ADDRESS_WIDTH
from taylorvit.simulation import compilers, expect_equal, parameters
from taylorvit.simulation.register_host import RegisterHost
from verif import ROOT

__all__ = ["BARE", "BASE", "PAGE", "SOURCES", "CProgram", "compile_as_page_says", "compile_c", "compile_program",
           "expect_checks", "needed_names"]  # fmt: skip

SOURCES = ROOT / "fpga" / "c"
PAGE = ROOT / "docs" / "c_driver.md"
PORT = Path(__file__).with_name("c_port.c")
BARE = ["-ffreestanding", "-nostdlib"]
BASE = 0x4000_0000

_STANDARD = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"]
_WAIT_LIMIT = 20_000  # cycles


def compile_c(folder, *arguments):
    """Runs the C compiler in a folder, with all warnings as errors."""
    command = [*compilers.compiler("CC"), *_STANDARD, f"-I{SOURCES}", "-I.", *map(str, arguments)]
    subprocess.run(command, cwd=folder, check=True, timeout=600)


def compile_program(folder, driver, program):
    """Compiles the C files `program` and `driver`, and the port that a bench needs; returns the shared object."""
    library = folder / "program.so"
    compile_c(folder, "-O1", "-fPIC", "-shared", "-o", library, SOURCES / driver, PORT, program)
    return library


def needed_names(folder, driver, optimization):
    """What a driver, compiled for bare metal, needs of others."""
    compile_c(folder, *BARE, optimization, "-c", SOURCES / driver, "-o", "driver.o")
    printed = subprocess.run(["nm", "-u", folder / "driver.o"], capture_output=True, text=True, check=True, timeout=600)
    return set(printed.stdout.split()) - {"U"}


def compile_as_page_says(folder, number):
    """Carries out a command of the page, with the headers in a folder; returns the sources that it names."""
    command = re.findall(r"^    \$ (gcc .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)[number]
    places = {r"build/[\w-]+/registers": folder, "fpga/c": SOURCES, "build": folder}
    here = command
    for place, path in places.items():
        here = re.sub(rf"(?<= ){place}\b", str(path), here)
    here = here.replace("gcc", shlex.join(compilers.compiler("CC")), 1)
    subprocess.run(["sh", "-c", here], cwd=folder, check=True, timeout=600)
    sources = set(re.findall(r"fpga/c/(\w+)\.c", command))
    written = {path.stem for path in folder.glob("*.o")}
    if written != sources:
        raise AssertionError(f"the command of the page wrote {sorted(written)}, not {sorted(sources)}")
    return sources


async def expect_checks(program):
    """The checks that are written in a C program all hold, as many as the parameter `checks` says."""
    held = await program.main()
    if program.printed or not held:
        raise AssertionError(f"the checks must all hold, not fail:\n{program.printed}")
    expect_equal("checks that held", held, parameters()["checks"])


class CProgram:
    """A shared object of C sources with `c_port.c`, joined to a host at the accelerator's ports.

    Args:
        path (str): the shared object.
        host (RegisterHost): a host of the accelerator, with a `sink` of its results.
        send (Callable): sends a packet; is called with the number of its stream and its bytes.
        packet_bytes (Callable): the bytes of a frame of results.
    """

    def __init__(
        self, path: str, host: RegisterHost, *, send: Callable[[int, bytes], None],
        packet_bytes: Callable[[AxiStreamFrame], bytes],
    ):  # fmt: skip
        self.host = host
        self.send_packet, self.packet_bytes = send, packet_bytes
        self.printed = ""
        self.packets: list[AxiStreamFrame] = []  # of results
        self.destinations: deque[tuple[int, int]] = deque()  # address and bytes of packets of results to come
        self.bus_errors = 0
        self.failure: BaseException | None = None
        self.library = ctypes.CDLL(path)
        word, address, pointer = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
        self._callbacks = {
            "bench_read32": (ctypes.CFUNCTYPE(word, address), self._read),
            "bench_write32": (ctypes.CFUNCTYPE(None, address, word), self._write),
            "bench_print": (ctypes.CFUNCTYPE(None, ctypes.c_char_p), self._print),
            "bench_send": (ctypes.CFUNCTYPE(None, word, pointer, word), self._send),
            "bench_receive": (ctypes.CFUNCTYPE(None, pointer, word), self._receive),
            "bench_wait_received": (ctypes.CFUNCTYPE(word), self._wait_received),
            "bench_wait_interrupt": (ctypes.CFUNCTYPE(word), self._wait_interrupt),
            "bench_bus_errors": (ctypes.CFUNCTYPE(word), self._take_bus_errors),
        }
        # The function objects stay in this dictionary: nothing else keeps them while C holds their addresses.
        for name, (kind, method) in self._callbacks.items():
            self._callbacks[name] = kind(self._guarded(method))
            pointer.in_dll(self.library, name).value = ctypes.cast(self._callbacks[name], pointer).value
        address.in_dll(self.library, "bench_base").value = BASE

    async def main(self) -> int:
        """Run the program; its exit status."""
        receiver = cocotb.start_soon(self._receive_packets())
        status = await bridge(lambda: self.library.main())()
        receiver.cancel()
        self.host.dut._log.info("the program printed\n%s", self.printed)
        if self.failure is not None:
            raise self.failure
        return status

    def _guarded(self, method):
        """ctypes drops exceptions of callbacks: keep the first, and have C go on with 0."""

        @functools.wraps(method)
        def call(*arguments):
            try:
                return method(*arguments)
            except BaseException as error:
                self.failure = self.failure or error
                return 0

        return call

    def _offset(self, address: int) -> int:
        if not BASE <= address < BASE + (1 << ADDRESS_WIDTH) or address % 4:
            raise AssertionError(f"address must be of a word of the accelerator at {BASE:#x}, not {address:#x}")
        return address - BASE

    def _read(self, address):
        result = resume(self.host.axil.read)(self._offset(address), 4)
        self.bus_errors += result.resp != AxiResp.OKAY
        return int.from_bytes(result.data, "little")

    def _write(self, address, value):
        result = resume(self.host.axil.write)(self._offset(address), value.to_bytes(4, "little"))
        self.bus_errors += result.resp != AxiResp.OKAY

    def _print(self, text):
        self.printed += text.decode("ascii")

    def _send(self, stream, packet, size):
        self.send_packet(stream, ctypes.string_at(packet, size))

    def _receive(self, packet, size):
        self.destinations.append((packet, size))

    async def _receive_packets(self):
        while True:
            frame = await self.host.sink.recv()
            self.packets.append(frame)
            data = self.packet_bytes(frame)
            address, size = self.destinations[0]
            expect_equal("bytes of a packet of results", len(data), size)
            ctypes.memmove(address, data, size)
            self.destinations.popleft()

    def _wait_received(self):
        async def wait():
            deadline = self.host.now() + _WAIT_LIMIT
            while self.destinations and self.host.now() < deadline:
                await ClockCycles(self.host.dut.clk, 1)

        resume(wait)()
        return not self.destinations

    def _wait_interrupt(self):
        resume(self.host.wait_interrupt)(_WAIT_LIMIT)
        return 1

    def _take_bus_errors(self):
        errors, self.bus_errors = self.bus_errors, 0
        return errors
