"""The C driver of the network accelerator and its example, on registers and streams of a simulated accelerator.

`verif.fpga.c_program` runs the programs. Logits are compared here with the integer model too, whatever they say.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.presets import load_preset
from taylorvit.gen.registers_export import to_c_header
from taylorvit.jobs.c_network_source import network_job_source
from taylorvit.jobs.compiled_model import CompiledModel
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.control.registers import register_map
from taylorvit.simulation import compilers, expect_equal, parameters, record, run
from taylorvit.simulation.register_host import within
from verif.fpga.c_program import (
    PAGE,
    SOURCES,
    CProgram,
    compile_as_page_says,
    compile_c,
    compile_program,
    expect_checks,
    needed_names,
)
from verif.regression.network.configurations import CONFIGURATIONS, build_accelerator
from verif.regression.network.host import NetworkHost
from verif.regression.network.models import TINY, network_of

CHECKS = Path(__file__).with_name("c_network_checks.c")
CONFIG = CONFIGURATIONS["memory-8x4"]
NETWORK = network_of(TINY, 3, CONFIG)
PIXELS = np.random.default_rng(5).integers(0, 256, (3, TINY.channels, TINY.image_size, TINY.image_size), dtype=np.uint8)
LOGITS = NETWORK.vit(PIXELS.astype(np.int64))
IMAGE_STREAM = 3  # BOARD_STREAM_IMAGE


# Benches: run inside the simulator.


class Host(NetworkHost):
    """A host that waits for the interrupt, as the C program's port asks for it."""

    async def wait_interrupt(self, limit: int) -> None:
        if not self.dut.interrupt.value:
            await within(limit, RisingEdge(self.dut.interrupt), "interrupt")


async def start_program(dut) -> CProgram:
    host = await Host.start(dut, NetworkConfig.from_mapping(parameters()["config"]))

    def send(stream, data):
        expect_equal("stream of a packet", stream, IMAGE_STREAM)
        host.send_packets([data])

    return CProgram(parameters()["library"], host, send=send, packet_bytes=lambda frame: bytes(frame.tdata))


@cocotb.test()
async def example_runs(dut):
    """The C example loads its tape, once, and its logits are right."""
    program = await start_program(dut)
    words, write = [], program.host.axil.write

    def counted(address, data, **how):
        words.append(address == register_map(program.host.config)["TAPE_DATA"].offset)
        return write(address, data, **how)

    program.host.axil.write = counted
    for expected_words in (-(-len(parameters()["tape"]) // 2 // 4), 0):
        expect_equal("exit status", await program.main(), 0)
        expect_equal("words of the tape", sum(words), expected_words)
        words.clear()
    expected = np.array(parameters()["logits"])
    logits = [np.frombuffer(bytes(frame.tdata), "<i4").tolist() for frame in program.packets]
    expect_equal("logits", np.array(logits), np.concatenate([expected, expected]))
    counters = {name: await program.host.read(name) for name in program.host.registers.counters}
    config, lines = program.host.config, program.printed.splitlines()
    classes = ", ".join(map(str, expected.argmax(1)))
    expected_lines = [
        f"TaylorViT network, array of {config.rows} x {config.columns}, up to {config.max_tokens} tokens",
        f"{len(expected)} images in {counters['CYCLES']} cycles, array busy in {counters['ARRAY_BUSY']}, waiting for "
        f"the tape in {counters['STALL_TAPE']}, for images in {counters['STALL_IMAGE']}",
        f"classes {classes}; {expected.size} logits, 0 of them wrong",
    ]
    if lines[3:] != expected_lines:
        raise AssertionError(f"the example must print {expected_lines}, not {lines[3:]}")
    record("lines", lines[3:])


@cocotb.test()
async def example_says(dut):
    """The C example ends with status 1 and a text."""
    program = await start_program(dut)
    expect_equal("exit status", await program.main(), 1)
    if not program.printed.endswith(parameters()["text"]):
        raise AssertionError(f"the example must end with {parameters()['text']!r}, not print {program.printed!r}")


@cocotb.test()
async def checks_hold(dut):
    """The checks that are written in C all hold."""
    await expect_checks(await start_program(dut))


# pytest


@pytest.fixture
def folder(tmp_path):
    """Where a C program is compiled, with taylorvit_registers.h and example_network_job.h."""
    model = CompiledModel("tiny", CONFIG, NETWORK.tape, NETWORK.vit, ["a", "b", "c"])
    (tmp_path / "taylorvit_registers.h").write_text(to_c_header(CONFIG))
    (tmp_path / "example_network_job.h").write_text(network_job_source(model, PIXELS, LOGITS))
    return tmp_path


def simulate(folder, program, testcase, **values):
    """Compiles the C file `program` with driver and port, and runs it in the cocotb test `testcase`."""
    library = compile_program(folder, "taylorvit_network.c", program)
    values |= {"config": CONFIG.to_mapping(), "library": str(library)}
    result = run(build_accelerator(CONFIG.name), __name__, testcase=testcase, parameters=values)
    assert result.tests == 1
    return result


EXAMPLE = SOURCES / "example_network.c"


def test_example(folder):
    result = simulate(folder, EXAMPLE, "example_runs", logits=LOGITS, tape=NETWORK.tape.hex())
    text = PAGE.read_text(encoding="utf-8")
    shown = [line.strip() for line in text.splitlines()]
    (line,) = [number for number, line in enumerate(shown) if line.startswith("TaylorViT network, ")]
    assert shown[line : line + 3] == result.measurements["lines"], f"{PAGE.name} must show the last run"


def test_example_finds_wrong_logits(folder):
    path = folder / "example_network_job.h"
    before, array, numbers = path.read_text().partition("example_logits[EXAMPLE_IMAGES][EXAMPLE_CLASSES] = {\n    {\n")
    path.write_text(before + array + re.sub(r"-?\d+", lambda match: str(int(match[0]) ^ 1), numbers, count=2))
    simulate(folder, EXAMPLE, "example_says", text=f" {LOGITS.size} logits, 2 of them wrong\n")


def test_header_of_another_accelerator(folder):
    (folder / "taylorvit_registers.h").write_text(to_c_header(replace(CONFIG, max_classes=CONFIG.max_classes + 1)))
    simulate(folder, EXAMPLE, "example_says",
             text="open: a TaylorViT network accelerator of another configuration or version\n")  # fmt: skip


def test_refusals_errors_and_interrupts(folder):
    """Every check that is written down is made."""
    simulate(folder, CHECKS, "checks_hold", checks=CHECKS.read_text().count("    CHECK("))


LEAN = replace(CONFIG, counters="none", error_count_width=0)
CYCLES = replace(CONFIG, counters="cycles")


@pytest.mark.parametrize("optimization", ["-O0", "-O2", "-Os"])
@pytest.mark.parametrize(
    "config", [CONFIG, LEAN, CYCLES, CONFIGURATIONS["axi-4x4"], CONFIGURATIONS["stream-5x3"]],
    ids=["memory", "lean", "cycles", "axi", "stream"],
)  # fmt: skip
def test_driver_needs_nothing_but_its_port(folder, config, optimization):
    (folder / "taylorvit_registers.h").write_text(to_c_header(config))
    assert needed_names(folder, "taylorvit_network.c", optimization) == {"taylorvit_read32", "taylorvit_write32"}


@pytest.mark.parametrize(
    ("driver", "config"), [("taylorvit.c", CONFIG), ("taylorvit_network.c", load_preset("tiny-4x4"))]
)
def test_header_of_the_other_accelerator(folder, driver, config):
    (folder / "taylorvit_registers.h").write_text(to_c_header(config))
    command = [*compilers.compiler("CC"), "-I.", f"-I{SOURCES}", "-c", str(SOURCES / driver)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert result.returncode != 0 and "must be compiled for a" in result.stderr


def test_page_compiles(folder):
    """The command of docs/c_driver.md; it and that of the attention accelerator name every source."""
    sources = compile_as_page_says(folder, 1)
    assert sources == {"taylorvit_network", "taylorvit_mmio", "example_network"}
    assert {path.stem for path in SOURCES.glob("*.c")} == sources | {"taylorvit", "example"}


def test_texts(folder):
    """Every status and every event has a text of its own."""
    (folder / "main.c").write_text("""
        #include <stdio.h>
        #include "taylorvit_network.h"
        int main(void)
        {
            for (int status = 0; status <= TAYLORVIT_NETWORK_JOB_ERRORS + 1; status++)
                puts(taylorvit_network_status_text((enum taylorvit_network_status)status));
            for (uint32_t event = 1; event; event <<= 1)
                if (TAYLORVIT_EVENTS_DONE_MASK == event || taylorvit_network_event_name(event)[0] != '?')
                    puts(taylorvit_network_event_name(event));
            return 0;
        }""")
    compile_c(folder, "main.c", SOURCES / "taylorvit_network.c", SOURCES / "taylorvit_mmio.c", "-o", "main")
    printed = subprocess.run([str(folder / "main")], capture_output=True, text=True, check=True, timeout=600).stdout
    texts, _end, names = printed.partition("?\n")
    header = (SOURCES / "taylorvit_network.h").read_text()
    statuses = header.partition("enum taylorvit_network_status {")[2].partition("};")[0]
    assert len(set(texts.splitlines())) == len(texts.splitlines()) == statuses.count("    TAYLORVIT_")
    assert names.splitlines() == [field.name for field in register_map(CONFIG)["EVENTS"].fields]


def test_crc_is_that_of_zlib(folder):
    """By the standard's check value."""
    (folder / "main.c").write_text("""
        #include "taylorvit_network.h"
        int main(void)
        {
            return taylorvit_network_crc("123456789", 9) != 0xCBF43926u || taylorvit_network_crc("", 0) != 0;
        }""")
    compile_c(folder, "main.c", SOURCES / "taylorvit_network.c", SOURCES / "taylorvit_mmio.c", "-o", "main")
    assert subprocess.run([str(folder / "main")], timeout=600).returncode == 0
