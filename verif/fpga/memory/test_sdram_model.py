"""The model of an SDRAM behaves like one, and ends the simulation at whatever a real one would not bear."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from taylorvit.boundary import programs
from taylorvit.fpga.memory.chips import CHIPS, SdramTiming
from taylorvit.simulation import build
from taylorvit.simulation.dsp_cells import DSP_CELLS
from taylorvit.simulation.sdram import chip_parameters

CHIP = replace(CHIPS["MT48LC16M16"], name="small", row_bits=4, column_bits=4, start=300)
# Times: precharge 2, activate 2, active 5, row cycle 7, row to row 2, refresh 7, write recovery 2, mode 2.
TIMING = SdramTiming(CHIP, 100_000_000)
ALL = 1 << 10  # banks
MODE = 0x20

BENCH = """
module sdram_bench (input wire clk, input wire [2:0] command, input wire [1:0] ba, input wire [10:0] a,
                    input wire [1:0] dqm, input wire driven, input wire [15:0] data, output wire [15:0] dq);
    wire [15:0] pins;
    assign pins = driven ? data : 16'bz;
    assign dq = pins;
    sdram_chip #({parameters}) chip (.clk(clk), .cke(1'b1), .cs_n(1'b0), .ras_n(command[2]), .cas_n(command[1]),
        .we_n(command[0]), .ba(ba), .a(a), .dqm(dqm), .dq(pins));
endmodule
"""


def line(command, cycles, bank=0, address=0, data=0, mask=0):
    return f"{command} {bank} {address} {data} {mask} {cycles}"


START = [
    line("nothing", 30),
    line("close", 2, address=ALL),
    *[line("refresh", 7)] * 8,
    line("mode", 2, address=MODE),
]


@pytest.fixture(scope="module")
def simulation():
    parameters = ", ".join(f".{name}({value})" for name, value in chip_parameters(TIMING).items())
    model = (DSP_CELLS / "sdram.v").read_text()
    text = BENCH.replace("{parameters}", parameters) + model
    return build(text, "sdram_bench", simulator="verilator", main=Path(__file__).with_name("sdram_script.cpp"))


def follow(simulation, lines, *arguments):
    """What the data pins had in each cycle, and what the model says at the end."""
    program = [str(simulation.directory / "simulation"), *arguments]
    result = subprocess.run(
        program, input="\n".join(lines), text=True, capture_output=True, env=programs.environment(), timeout=600
    )
    values = [int(word, 16) for word in result.stdout.partition("[")[0].split("\n") if word]
    return values, result.returncode, result.stderr


def test_what_is_written_is_read(simulation):
    lines = [
        *START,
        line("open", 2, bank=1, address=9),
        line("write", 1, bank=1, address=3, data=0x1234),
        line("write", 1, bank=1, address=4, data=0xABCD),
        line("write", 1, bank=1, address=3, data=0x5678, mask=1),
        line("read", 1, bank=1, address=3),
        line("read", 1, bank=1, address=4),
        line("read", 4, bank=1, address=5),
    ]
    values, status, error = follow(simulation, lines)
    assert (status, error) == (0, "")
    # Two edges after that of the read.
    assert values[-6:] == [0, 0, 0x5634, 0xABCD, 0, 0]


def test_memory_may_be_there_already(simulation, tmp_path):
    contents = bytes(range(256)) * (CHIP.bytes // 256)
    (tmp_path / "memory").write_bytes(contents)
    row, bank, column = 5, 2, 7
    lines = [*START, line("open", 2, bank=bank, address=row), line("read", 4, bank=bank, address=column)]
    values, status, _error = follow(simulation, lines, f"+sdram={tmp_path / 'memory'}")
    place = 2 * (row << 6 | bank << 4 | column)
    assert (status, values[-2]) == (0, int.from_bytes(contents[place : place + 2], "little"))
    _values, status, error = follow(simulation, lines, f"+sdram={tmp_path / 'nowhere'}")
    assert status != 0 and f"SDRAM: file must be readable: {tmp_path / 'nowhere'}" in error


def test_a_row_closes_by_itself(simulation):
    opened = line("open", 2, address=1)
    after = [line("read", 3, address=ALL), line("nothing", 2), line("open", 2, address=2), line("read", 2)]
    # It stays open for five cycles, and takes two to close.
    assert follow(simulation, [*START, opened, *after])[1:] == (0, "")
    after[1] = line("nothing", 1)
    error = follow(simulation, [*START, opened, *after])[2]
    assert "must come" in error


def started(*lines):
    return [*START, *lines]


def opened(*lines):
    return started(line("open", 2, bank=1), *lines)


#: What is wrong -> commands, and what the model says.
REFUSED = {
    "a command before the wait": ([line("nothing", 29), line("close", 2, address=ALL)], "after the wait at power-up"),
    "no precharge": ([line("nothing", 30), line("refresh", 7)], "after closing all rows"),
    "too few refreshes": ([*START[:9], line("mode", 2, address=MODE)], "after enough refreshes"),
    "refresh too early at the start": (
        [*START[:2], line("refresh", 6), line("refresh", 7)],
        "a refresh (tRFC) at least, not 6",
    ),
    "no mode": ([*START[:-1], line("open", 2)], "after setting the mode"),
    "another mode": ([*START[:-1], line("mode", 2, address=0x30)], "mode must be 20, not 30"),
    "a burst": ([*START[:-1], line("mode", 2, address=0x21)], "mode must be 20, not 21"),
    "a command in the mode's time": (
        [*START[:-1], line("mode", 1, address=MODE), line("open", 2)],
        "(tMRD) at least, not 1",
    ),
    "a read of a closed row": (started(line("read", 1)), "a read or write must come when a row is open"),
    "a read of another bank": (opened(line("read", 1, bank=2)), "when a row is open"),
    "tRCD": (started(line("open", 1), line("read", 1)), "2 cycles after opening the row (tRCD) at least, not 1"),
    "tRAS": (opened(line("nothing", 2), line("close", 1, bank=1)), "5 cycles after opening it (tRAS) at least, not 4"),
    "tRP": (
        opened(line("nothing", 3), line("close", 1, bank=1), line("open", 1, bank=1)),
        "closing a row (tRP) at least, not 1",
    ),
    "tRRD": (started(line("open", 1), line("open", 1, bank=1)), "2 cycles after another bank's (tRRD) at least, not 1"),
    "tWR": (
        opened(line("nothing", 4), line("write", 1, bank=1), line("close", 1, bank=1)),
        "2 cycles after a write (tWR) at least, not 1",
    ),
    "tRP before a refresh": (
        opened(line("nothing", 3), line("close", 1, bank=1), line("refresh", 1)),
        "2 cycles after closing a row (tRP) at least, not 1",
    ),
    "tRFC": (started(line("refresh", 6), line("open", 1)), "7 cycles after a refresh (tRFC) at least, not 6"),
    "a refresh of open rows": (
        opened(line("nothing", 9), line("refresh", 1)),
        "a refresh must come when the row is cl",
    ),
    "a second row": (opened(line("nothing", 9), line("open", 1, bank=1)), "opening a row must come when the row is cl"),
    "both drive": (
        opened(line("read", 2, bank=1), line("write", 1, bank=1)),
        "a write must come when no data are read",
    ),
    "a column that is not there": (opened(line("read", 1, bank=1, address=16)), "column must be there, not 10"),
    "refreshes forgotten": (started(line("nothing", 9 * TIMING.refresh_cycles)), "refresh must not be nine intervals"),
    "a burst is stopped": (opened(line("stop", 1)), "stopping a burst must come never"),
    "a read after one that closes the row": (
        opened(line("read", 1, bank=1, address=ALL), line("read", 1, bank=1)),
        "when a row is open",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_faults_are_refused(simulation, fault):
    lines, text = REFUSED[fault]
    _values, status, error = follow(simulation, lines)
    assert status != 0
    assert error.startswith("SDRAM: ") and text in error.splitlines()[0]
    # What comes before the last command is borne.
    assert fault == "refreshes forgotten" or follow(simulation, lines[:-1])[1:] == (0, "")


def test_refreshes_in_time(simulation):
    lines = started(*[line("nothing", TIMING.refresh_cycles - 7), line("refresh", 7)] * 20)
    assert follow(simulation, lines)[1:] == (0, "")
