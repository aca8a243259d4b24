"""The C driver and its example, compiled by the C compiler, on registers and streams of a simulated accelerator.

    example.c or c_checks.c --> taylorvit.c --> c_port.c --> AXI4-Lite and AXI4-Stream masters at the simulated ports

`verif.fpga.c_program` runs the program. What comes out of `m_axis_z` is compared here with the golden model too,
whatever the program says of it.
"""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

import cocotb
import numpy as np
import pytest

from taylorvit.gen.registers_export import to_c_header
from taylorvit.golden import workloads
from taylorvit.jobs import golden_steps, job_source, read_operands
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.description import ADDRESS_WIDTH
from taylorvit.rtl.control.registers import register_map
from taylorvit.simulation import expect_equal, parameters, record, run
from taylorvit.simulation.host import STREAMS, AcceleratorHost, matrix_of
from verif.fpga.c_program import (
    BARE,
    PAGE,
    SOURCES,
    CProgram,
    compile_as_page_says,
    compile_c,
    compile_program,
    expect_checks,
    needed_names,
)
from verif.regression.configurations import CONFIGURATIONS, build_accelerator

HERE = Path(__file__).resolve().parent

CONFIGURATION, SOFTMAX = "tiny-4x4", "softmax-4x4"
HEADS, HEAD_DIM = 2, 14  # of the captured ones; 14 features leave a token's last beat half empty


SOFTMAX_REFUSALS = """
#include "board.h"
#include "example_job.h"
#include "taylorvit.h"

static uint32_t checks;

#define CHECK(condition) do { if (condition) checks++; else board_print(#condition "\\n"); } while (0)

static struct taylorvit accelerator;

static enum taylorvit_status with(int32_t shift_s, uint16_t first, uint16_t second, uint32_t count)
{
    static uint16_t exponentials[sizeof example_exponentials / sizeof *example_exponentials];
    struct taylorvit_job job = example_job;

    exponentials[0] = first;
    exponentials[1] = second;
    job.shift_s = shift_s;
    job.exponentials = exponentials;
    job.exponentials_count = count;
    return taylorvit_configure(&accelerator, &job);
}

int main(void)
{
    uint32_t events, count = example_job.exponentials_count;
    int32_t most;

    CHECK(taylorvit_open(&accelerator, board_taylorvit_base()) == TAYLORVIT_OK);
    CHECK(accelerator.build.exponential_entries == count);
    CHECK(example_job.exponentials[0] >> (accelerator.build.exponential_width - 1) == 1);
    most = accelerator.build.shift_s_max;
    CHECK(most == TAYLORVIT_SHIFT_S_MAX);
    CHECK(with(-1, 1, 0, count) == TAYLORVIT_BAD_SHIFT_S);
    CHECK(with(most + 1, 1, 0, count) == TAYLORVIT_BAD_SHIFT_S);
    CHECK(with(most, 0, 1, count) == TAYLORVIT_BAD_EXPONENTIALS);
    CHECK(with(most, 1, 0xffff, count) == TAYLORVIT_BAD_EXPONENTIALS);
    CHECK(with(most, 1, 0, count - 1) == TAYLORVIT_BAD_EXPONENTIALS);
    CHECK(with(most, 1, 1, count) == TAYLORVIT_OK);
    CHECK(taylorvit_start(&accelerator) == TAYLORVIT_OK);
    CHECK(taylorvit_configure(&accelerator, &example_job) == TAYLORVIT_BUSY);
    taylorvit_write32(board_taylorvit_base() + TAYLORVIT_EXPONENTIALS_OFFSET, 1);
    CHECK(taylorvit_error_count(&accelerator, TAYLORVIT_EVENTS_BAD_VALUE_MASK) == 1);
    CHECK(taylorvit_soft_reset(&accelerator) == TAYLORVIT_OK);
    CHECK(taylorvit_configure(&accelerator, &example_job) == TAYLORVIT_OK);
    CHECK(taylorvit_wait(&accelerator, 1, &events) == TAYLORVIT_NOT_DONE);
    CHECK(events == TAYLORVIT_EVENTS_BAD_VALUE_MASK);
    return (int)checks;
}
"""


# Bench: runs inside the simulator.


async def start_program(dut) -> CProgram:
    host = await AcceleratorHost.start(dut, AcceleratorConfig.from_mapping(parameters()["config"]))
    beat_bytes = host.config.stream_width // 8

    def send(stream, data):
        beats = [data[start : start + beat_bytes] for start in range(0, len(data), beat_bytes)]
        host.send_packet(STREAMS[stream], [int.from_bytes(beat, "little") for beat in beats])

    def packet_bytes(frame):
        return b"".join(beat.to_bytes(beat_bytes, "little") for beat in frame.tdata)

    return CProgram(parameters()["library"], host, send=send, packet_bytes=packet_bytes)


@cocotb.test()
async def example_runs(dut):
    """The C example runs its job and prints version, cycles and a comparison without a difference."""
    program = await start_program(dut)
    config, expected = program.host.config, np.array(parameters()["z"])
    heads, tokens, head_dim = expected.shape
    status = await program.main()
    lines = program.printed.splitlines()
    if status != 0 or len(lines) != 3:
        raise AssertionError(f"the example must end with 0 and three lines, not {status} and {program.printed!r}")
    z = np.stack([matrix_of(list(packet.tdata), tokens, head_dim, config) for packet in program.packets])
    expect_equal("z", z, expected)

    counters = await program.host.counters()
    expect_equal("array-busy cycles", counters["ARRAY_BUSY"], heads * config.array_cycles(tokens, head_dim))
    version = [await program.host.read("VERSION") >> shift & 0xFF for shift in (16, 8, 0)]
    expected_lines = [
        f"TaylorViT {'.'.join(map(str, version))}, array of {config.rows} x {config.columns}, "
        f"up to {config.max_tokens} tokens x {config.max_head_dim} features",
        f"{heads} heads in {counters['CYCLES']} cycles, array busy in {counters['ARRAY_BUSY']}, waiting for input in "
        f"{counters['STALL_INPUT']}, for output in {counters['STALL_OUTPUT']}",
        f"{z.size} bytes of Z, 0 of them wrong",
    ]
    if lines != expected_lines:
        raise AssertionError(f"the example must print {expected_lines}, not {lines}")
    record("lines", lines)


@cocotb.test()
async def example_finds_wrong_bytes(dut):
    """The C example counts the bytes of Z that are wrong."""
    program = await start_program(dut)
    expect_equal("exit status", await program.main(), 1)
    if not program.printed.endswith(" bytes of Z, 2 of them wrong\n"):
        raise AssertionError(f"the example must find the two wrong bytes, not print {program.printed!r}")


@cocotb.test()
async def example_refuses_another_build(dut):
    """The C example refuses an accelerator of another configuration before it sends anything."""
    program = await start_program(dut)
    expect_equal("exit status", await program.main(), 1)
    expect_equal("packets sent", sum(not source.idle() for source in program.host.sources.values()), 0)
    if program.printed != "open: a TaylorViT of another configuration or version\n":
        raise AssertionError(f"the example must say that the configuration is another, not {program.printed!r}")


@cocotb.test()
async def example_refuses_another_kernel(dut):
    """The C example refuses an accelerator of another kernel, whose registers it does not know."""
    program = await start_program(dut)
    expect_equal("exit status", await program.main(), 1)
    if program.printed != "open: a TaylorViT with another kind of attention\n":
        raise AssertionError(f"the example must say that the kernel is another, not {program.printed!r}")


@cocotb.test()
async def checks_hold(dut):
    """The checks that are written in C all hold."""
    await expect_checks(await start_program(dut))


# pytest


@pytest.fixture
def folder(tmp_path):
    """Where a C program is compiled: taylorvit_registers.h and example_job.h of captured heads for CONFIGURATION."""
    return written_for(CONFIGURATION, tmp_path)


def written_for(name, tmp_path):
    config = CONFIGURATIONS[name]
    captured = workloads.load("mnist_vit")
    heads = {name: getattr(captured, name)[:HEADS, : config.max_tokens, :HEAD_DIM] for name in STREAMS}
    np.savez(tmp_path / "input.npz", **heads)
    (tmp_path / "taylorvit_registers.h").write_text(to_c_header(config))
    job = read_operands(tmp_path / "input.npz", config).job
    (tmp_path / "example_job.h").write_text(job_source(config, job, golden_steps(job, config).z))
    return tmp_path


def simulate(folder, program, testcase, name=CONFIGURATION, **values):
    """Compile the C file `program` with driver and port, and run it in the cocotb test `testcase`."""
    library = compile_program(folder, "taylorvit.c", program)
    config = CONFIGURATIONS[name].to_mapping()
    result = run(
        build_accelerator(name),
        __name__,
        testcase=testcase,
        parameters={"config": config, "library": str(library), **values},
    )
    assert result.tests == 1
    return result


def test_example(folder):
    config = CONFIGURATIONS[CONFIGURATION]
    job = read_operands(folder / "input.npz", config).job
    golden = golden_steps(job, config)
    result = simulate(folder, SOURCES / "example.c", "example_runs", z=golden.z)
    shown = [line.strip() for line in PAGE.read_text(encoding="utf-8").splitlines()]
    (line,) = [number for number, line in enumerate(shown) if line.startswith("TaylorViT 0")]
    assert shown[line : line + 3] == result.measurements["lines"], f"{PAGE.name} must show the last run"


def test_example_of_softmax_attention(tmp_path):
    """The same example, with a table of exponentials, by the header of an accelerator with softmax attention."""
    folder, config = written_for(SOFTMAX, tmp_path), CONFIGURATIONS[SOFTMAX]
    golden = golden_steps(read_operands(folder / "input.npz", config).job, config)
    simulate(folder, SOURCES / "example.c", "example_runs", SOFTMAX, z=golden.z)


def test_refusals_of_softmax_attention(tmp_path):
    folder = written_for(SOFTMAX, tmp_path)
    (folder / "refusals.c").write_text(SOFTMAX_REFUSALS)
    checks = SOFTMAX_REFUSALS.count("    CHECK(")
    simulate(folder, folder / "refusals.c", "checks_hold", SOFTMAX, checks=checks)


def test_header_of_another_kernel(folder):
    (folder / "taylorvit_registers.h").write_text(to_c_header(CONFIGURATIONS[CONFIGURATION]))
    simulate(folder, SOURCES / "example.c", "example_refuses_another_kernel", SOFTMAX)


def test_example_finds_wrong_bytes(folder):
    """Two bytes of features that were expected to be others, and one of the padding, which does not count."""
    path = folder / "example_job.h"
    before, array, rows = path.read_text().partition("example_z[EXAMPLE_HEADS][EXAMPLE_HEAD_BYTES] = {\n    {\n")
    numbers = rows.split(",", 16)
    for place in (0, HEAD_DIM - 1, HEAD_DIM):
        numbers[place] = str(int(numbers[place]) ^ 1)
    path.write_text(before + array + ",".join(numbers))
    simulate(folder, SOURCES / "example.c", "example_finds_wrong_bytes")


def test_header_of_another_configuration(folder):
    (folder / "taylorvit_registers.h").write_text(to_c_header(CONFIGURATIONS["edge-16x16"]))
    simulate(folder, SOURCES / "example.c", "example_refuses_another_build")


def test_refusals_errors_and_interrupts(folder):
    """Every check that is written down is made: those in the loop twice, the one in a macro where that is used."""
    source = (HERE / "c_checks.c").read_text()
    loop = source.partition("for (int round = 0; round < 2; round++)")[2].partition("\n    }\n")[0]
    checks = source.count("    CHECK(") - 1 + source.count("    CHECK_REFUSED(") + loop.count("CHECK(")
    simulate(folder, HERE / "c_checks.c", "checks_hold", checks=checks)


@pytest.mark.parametrize("optimization", ["-O0", "-O2", "-Os"])
def test_driver_needs_nothing_but_its_port(folder, optimization):
    assert needed_names(folder, "taylorvit.c", optimization) == {"taylorvit_read32", "taylorvit_write32"}


def test_page_compiles(folder):
    """The command of docs/c_driver.md, and the program that it shows."""
    assert compile_as_page_says(folder, 0) == {"taylorvit", "taylorvit_mmio", "example"}
    program = PAGE.read_text(encoding="utf-8").partition('    #include "taylorvit.h"\n')[2].partition("\n\nThe ")[0]
    (folder / "page.c").write_text(
        f'#include "taylorvit.h"\nvoid accelerator_interrupt(void);\n'
        "enum taylorvit_status run(uintptr_t, const struct taylorvit_job *);\n"
        f"{textwrap.dedent(program)}\n"
    )
    compile_c(folder, *BARE, "-Wmissing-prototypes", "-c", "page.c")


def test_page_names_every_call():
    names = ("taylorvit.h", "taylorvit_network.h", "taylorvit_port.h")
    headers = [(SOURCES / name).read_text().partition('extern "C"')[2] for name in names]
    calls = set(re.findall(r"\b(taylorvit_\w+)\(", "".join(headers)))
    named = set(re.findall(r"`(taylorvit_\w+)`", PAGE.read_text(encoding="utf-8")))
    assert len(calls) > 15
    assert named == calls


def test_memory_mapped_port(folder):
    """Registers in memory, which holds what an accelerator's constants would."""
    constants = [register for register in register_map(CONFIGURATIONS[CONFIGURATION]) if register.name == "ID"]
    (folder / "main.c").write_text(f"""
        #include "taylorvit.h"
        static uint32_t registers[{1 << (ADDRESS_WIDTH - 2)}];
        int main(void)
        {{
            struct taylorvit device;
            if (taylorvit_open(&device, (uintptr_t)registers) != TAYLORVIT_WRONG_ID) return 1;
            #define SET(NAME) registers[TAYLORVIT_##NAME##_OFFSET / 4] = TAYLORVIT_##NAME##_VALUE;
            TAYLORVIT_FOR_EACH_CONSTANT(SET)
            if (taylorvit_open(&device, (uintptr_t)registers) != TAYLORVIT_OK) return 2;
            if (taylorvit_set_timeout(&device, 1234) != TAYLORVIT_OK) return 3;
            if (taylorvit_set_timeout(&device, 0xFFFFFFFFu) != TAYLORVIT_OK) return 4;
            registers[TAYLORVIT_COUNTER_WIDTHS_OFFSET / 4] = 22; /* another build, to whose limits the driver keeps */
            if (taylorvit_open(&device, (uintptr_t)registers) != TAYLORVIT_OTHER_BUILD) return 5;
            if (taylorvit_set_timeout(&device, 1u << 22) != TAYLORVIT_BAD_TIMEOUT) return 6;
            if (taylorvit_set_timeout(&device, (1u << 22) - 1) != TAYLORVIT_OK) return 7;
            return registers[TAYLORVIT_TIMEOUT_OFFSET / 4] != (1u << 22) - 1 || registers[0] != {constants[0].reset}u;
        }}""")
    compile_c(folder, "main.c", SOURCES / "taylorvit.c", SOURCES / "taylorvit_mmio.c", "-o", "main")
    assert subprocess.run([str(folder / "main")], timeout=600).returncode == 0


def test_texts(folder):
    """Every status and every event has a text of its own."""
    (folder / "main.c").write_text("""
        #include <stdio.h>
        #include "taylorvit.h"
        int main(void)
        {
            for (int status = 0; status <= TAYLORVIT_JOB_ERRORS + 1; status++)
                puts(taylorvit_status_text((enum taylorvit_status)status));
            for (uint32_t event = 1; event; event <<= 1)
                if (TAYLORVIT_EVENTS_DONE_MASK == event || taylorvit_event_name(event)[0] != '?')
                    puts(taylorvit_event_name(event));
            return 0;
        }""")
    compile_c(folder, "main.c", SOURCES / "taylorvit.c", SOURCES / "taylorvit_mmio.c", "-o", "main")
    printed = subprocess.run([str(folder / "main")], capture_output=True, text=True, check=True, timeout=600).stdout
    texts, _end, names = printed.partition("?\n")
    statuses = (SOURCES / "taylorvit.h").read_text().partition("enum taylorvit_status {")[2].partition("};")[0]
    assert len(set(texts.splitlines())) == len(texts.splitlines()) == statuses.count("    TAYLORVIT_")
    events = [field.name for field in register_map(CONFIGURATIONS[CONFIGURATION])["EVENTS"].fields]
    assert names.splitlines() == events
