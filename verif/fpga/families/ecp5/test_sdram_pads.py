"""Pins of an SDRAM on ECP5: what synthesis makes of them."""

from __future__ import annotations

import json
from collections import Counter

from taylorvit.fpga.families.ecp5.sdram_pads import Ecp5SdramPads
from taylorvit.fpga.memory.chips import CHIPS
from taylorvit.gen.verilog import emit
from verif.tools.yosys import run_yosys


def test_every_pin_has_its_registers(tmp_path):
    block = Ecp5SdramPads(CHIPS["AS4C32M16"])
    (tmp_path / "pads.v").write_text(emit(block))
    script = f"read_verilog pads.v; synth_ecp5 -top {block.module_name}; write_json netlist.json"
    succeeded, complaints = run_yosys(tmp_path, "-q", "-p", script)
    assert succeeded, complaints
    module = json.loads((tmp_path / "netlist.json").read_text())["modules"][block.module_name]
    assert module["ports"]["sdram_dq"]["direction"] == "inout"
    cells = module["cells"].values()
    pins = {cell["connections"]["B"][0]: cell for cell in cells if cell["type"] == "TRELLIS_IO"}
    assert sorted(pins) == sorted(module["ports"]["sdram_dq"]["bits"])
    assert {cell["parameters"]["DIR"] for cell in pins.values()} == {"BIDIR"}

    registers = [cell for cell in cells if cell["type"] == "TRELLIS_FF"]
    assert all("syn_useioff" in cell["attributes"] for cell in registers)
    kinds = Counter(cell["attributes"]["ioff_dir"] for cell in registers)
    commands = sum(
        len(module["ports"][f"sdram_{name}"]["bits"]) for name in ("cke", "cs_n", "ras_n", "cas_n", "we_n")
    ) + sum(len(module["ports"][f"sdram_{name}"]["bits"]) for name in ("ba", "a", "dqm"))
    assert kinds == {"output": commands + 2 * 16, "input": 16}  # data and their directions
    driven = {cell["connections"]["Q"][0] for cell in registers if cell["attributes"]["ioff_dir"] == "output"}
    for cell in pins.values():
        assert {cell["connections"]["I"][0], cell["connections"]["T"][0]} <= driven
    (clock,) = [cell for cell in cells if cell["type"] == "ODDRX1F"]
    assert clock["connections"]["Q"] == module["ports"]["sdram_clk"]["bits"]
    assert (clock["connections"]["D0"], clock["connections"]["D1"]) == (["1"], ["0"])
