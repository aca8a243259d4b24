"""litedram's controller as a block: its Verilog is there, always the same, and has the ports that it should."""

from __future__ import annotations

import re
import subprocess
import sys

import migen
import pytest

from taylorvit.boundary.errors import CommandError
from taylorvit.fpga.memory import litedram
from taylorvit.fpga.memory.chips import CHIPS, SdramTiming
from taylorvit.gen.generate import port_table
from taylorvit.gen.verilog import emit

TIMING = SdramTiming(CHIPS["AS4C32M16"], 60_000_000)
BLOCK = litedram.LiteDramController(TIMING)


def test_ports_are_those_of_the_block():
    head = BLOCK.verilog.partition(");")[0]
    found = re.findall(r"(input|output)\s+(?:wire|reg)\s+(?:\[(\d+):0\]\s+)?(\w+)", head)
    ports = {name: (direction, int(high or 0) + 1) for direction, high, name in found}
    assert ports == {name: (direction, width) for name, direction, width, _signed in port_table(BLOCK)}


def test_the_text_is_always_the_same():
    """In a process that has made other signals, and in one with other hashes."""
    [migen.Signal() for _ in range(1000)]
    litedram._verilog.cache_clear()
    script = (
        "from taylorvit.fpga.memory.chips import CHIPS, SdramTiming\n"
        "from taylorvit.fpga.memory.litedram import LiteDramController\n"
        "print(LiteDramController(SdramTiming(CHIPS['AS4C32M16'], 60_000_000)).verilog, end='')"
    )
    other = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONHASHSEED": "7"}, check=True, capture_output=True, text=True
    )
    assert other.stdout == BLOCK.verilog


def test_it_is_put_behind_the_other_modules_once():
    text = emit(BLOCK)
    assert text.count("module litedram_controller") == 1
    assert "// litedram's controller of an SDR SDRAM, with an AXI4 slave of the chip's width." in text
    assert text.index("lint_off UNUSEDSIGNAL") < text.index("module litedram_controller")
    assert text.index("endmodule") < text.index("lint_on UNUSEDSIGNAL")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "litedram.core.controller", None)
    monkeypatch.delitem(sys.modules, "litedram.core", raising=False)
    text = r"^this needs the Python package 'litedram', which is not installed: pip install \"taylorvit\[fpga\]\"$"
    block = litedram.LiteDramController(SdramTiming(CHIPS["AS4C32M16"], 61_000_000))
    with pytest.raises(CommandError, match=text):
        emit(block)
