"""Placed designs are counted as nextpnr counts them, and drawn whole: one small design, placed for every family."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from taylorvit.fpga.families import FAMILIES, RESOURCES
from taylorvit.fpga.flow import floorplan, placement
from taylorvit.fpga.flow.toolchain import find_toolchain, run_tool
from taylorvit.gen.presets import load_preset
from taylorvit.gen.verilog import emit, instances
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.network.accelerator import NetworkAccelerator

# The instances have the names that blocks of the accelerator have; what they compute is of no importance.
DESIGN = """
module pe (input clk, input signed [7:0] streamed, stationary, input signed [23:0] sum, output reg signed [23:0] out);
    reg signed [15:0] product;
    always @(posedge clk) begin product <= streamed * stationary; out <= sum + product; end
endmodule
module row (input clk, input signed [7:0] streamed, input signed [15:0] stationary, output signed [23:0] out);
    wire signed [23:0] between;
    pe general_0 (.clk(clk), .streamed(streamed), .stationary(stationary[7:0]), .sum(24'd0), .out(between));
    pe general_1 (.clk(clk), .streamed(streamed), .stationary(stationary[15:8]), .sum(between), .out(out));
endmodule
module memory_1024x8 (input clk, input write, input [9:0] write_address, read_address, input [7:0] in,
                      output reg [7:0] out);
    reg [7:0] memory [0:1023];
    always @(posedge clk) begin if (write) memory[write_address] <= in; out <= memory[read_address]; end
endmodule
module taylorvit (input clk, input [44:0] from_link, output [23:0] to_link);
    wire [7:0] operand;
    memory_1024x8 operand_row_0 (.clk(clk), .write(from_link[0]), .write_address(from_link[10:1]),
                                 .read_address(from_link[20:11]), .in(from_link[28:21]), .out(operand));
    row array (.clk(clk), .streamed(operand), .stationary(from_link[44:29]), .out(to_link));
endmodule
module link (input clk, input uart_rx, output uart_tx, output reg [44:0] from_link, input [23:0] to_link);
    reg [23:0] sent;
    assign uart_tx = sent[0];
    always @(posedge clk) begin
        from_link <= {from_link[43:0], uart_rx};
        sent <= from_link[0] ? to_link : sent >> 1;
    end
endmodule
module board_top (input clock, input uart_rx, output uart_tx);
    wire [44:0] from_link;
    wire [23:0] to_link;
    link host_link (.clk(clock), .uart_rx(uart_rx), .uart_tx(uart_tx), .from_link(from_link), .to_link(to_link));
    taylorvit accelerator (.clk(clock), .from_link(from_link), .to_link(to_link));
endmodule
"""
CONSTRAINTS = "\n".join(f'IO_LOC "{port}" {pin};' for port, pin in (("clock", 52), ("uart_rx", 18), ("uart_tx", 17)))

FLOWS = {
    "ecp5": ("synth_ecp5", "--25k --package CABGA381 --lpf-allow-unconstrained"),
    "ice40": ("synth_ice40 -dsp", "--up5k --package sg48"),
    "gowin": ("synth_gowin", "--device GW1NR-LV9QN88PC6/I5 --vopt family=GW1N-9C --vopt cst=pins.cst"),
}


@pytest.fixture(scope="module", params=FLOWS)
def placed(request, tmp_path_factory):
    """(family, the design placed for it, nextpnr's report), the last two as paths."""
    family = FAMILIES[request.param]
    synthesis, options = FLOWS[family.name]
    folder = tmp_path_factory.mktemp(family.name)
    (folder / "design.v").write_text(DESIGN, encoding="utf-8")
    (folder / "pins.cst").write_text(CONSTRAINTS, encoding="utf-8")
    tools = find_toolchain(family)
    script = f"read_verilog design.v; {synthesis} -top board_top -json design.json"
    run_tool(tools.yosys, ["-p", script], directory=folder, log=folder / "yosys.log")
    files = "--json design.json --write placed.json --report report.json"
    run_tool(tools.nextpnr, f"{options} {files}".split(), directory=folder, log=folder / "nextpnr.log")
    return family, folder / "placed.json", folder / "report.json"


def test_resources_are_those_that_nextpnr_reports(placed):
    family, design, report = placed
    used = {name: site["used"] for name, site in json.loads(report.read_text())["utilization"].items()}
    resources = floorplan.resources(design, family=family)
    totals = {kind: sum(row[kind] for row in resources.values()) for kind in RESOURCES}
    assert (
        totals["lut"]
        == {
            "ecp5": used.get("TRELLIS_COMB"),
            "ice40": used.get("ICESTORM_LC"),
            "gowin": used.get("LUT4", 0) + used.get("ALU", 0),
        }[family.name]
    )
    if family.name != "ice40":
        assert totals["ff"] == used[{"ecp5": "TRELLIS_FF", "gowin": "DFF"}[family.name]]
    assert totals["dsp"] == used[{"ecp5": "MULT18X18D", "ice40": "ICESTORM_DSP", "gowin": "MULT9X9"}[family.name]]
    assert totals["block_ram"] == used[{"ecp5": "DP16KD", "ice40": "ICESTORM_RAM", "gowin": "BSRAM"}[family.name]]
    assert min(totals.values()) > 0


def test_what_a_block_uses(placed):
    family, design, _report = placed
    resources = floorplan.resources(design, family=family)
    assert {"systolic array", "operand rows", "host link"} <= resources.keys()
    assert sum(row["dsp"] for row in resources.values()) == resources["systolic array"]["dsp"] > 0
    assert sum(row["block_ram"] for row in resources.values()) == resources["operand rows"]["block_ram"] > 0
    assert resources["host link"]["ff"] >= 23  # `sent`; a register between blocks may have its name from either


def test_modules(placed):
    family, design, _report = placed
    rows = floorplan.modules(design, family=family)
    by_block = floorplan.resources(design, family=family)
    assert rows["accelerator.array.general_*"]["instances"] == 2
    assert rows["accelerator.array.general_*"]["dsp"] == by_block["systolic array"]["dsp"]
    assert rows["accelerator.operand_row_*"]["block_ram"] == by_block["operand rows"]["block_ram"]
    for kind in RESOURCES:
        assert sum(row[kind] for row in rows.values()) == sum(row[kind] for row in by_block.values())


def test_picture(placed, tmp_path):
    family, design, report = placed
    floorplan.draw(design, tmp_path / "plan.svg", title="a < b & c", family=family, report=report)
    text = (tmp_path / "plan.svg").read_text(encoding="utf-8")
    assert "a < b" not in text and "prefers-color-scheme: dark" in text
    root = ElementTree.fromstring(text)
    svg = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{svg}title") == "a < b & c"

    # The quarters drawn are those that hold a LUT or a flip-flop, each once and within the device.
    sites = placement.read(design, family=family)
    columns, rows = sites.grid
    quarters = set()
    for path in root.iter(f"{svg}path"):
        if path.get("class") == "run":
            for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)", path.get("d")):
                run = {(int(x) + step, int(y)) for step in range(int(length))}
                assert not quarters & run
                quarters |= run
    assert all(0 <= x < 2 * columns and 0 <= y < 2 * rows for x, y in quarters)
    tiles = {(site.x, site.y) for site in sites.sites if site.kind in ("lut", "ff")}
    if family.name == "ice40":
        tiles = {(x, rows - 1 - y) for x, y in tiles}
    assert {(x // 2, y // 2) for x, y in quarters} == tiles

    # The legend has a line for each block, and its numbers.
    shown = [element.text for element in root.iter(f"{svg}text")]
    for block, row in floorplan.resources(design, family=family).items():
        figures = shown[shown.index(block) + 1 :][: len(RESOURCES)]
        assert [int(figure.split()[0].replace(",", "").replace("-", "0")) for figure in figures] == list(row.values())
    delay, _tiles = floorplan.critical_path(json.loads(report.read_text()))
    assert any(f"critical path, {delay:.2f} ns" in line for line in shown if line)


def test_critical_path_is_the_one_that_limits_the_clock(placed):
    _family, _design, report = placed
    facts = json.loads(report.read_text())
    delay, tiles = floorplan.critical_path(facts)
    (clock,) = facts["fmax"].values()
    assert 1000 / delay == pytest.approx(clock["achieved"], rel=1e-3)
    assert len(tiles) > 1


def test_no_critical_path_without_registers():
    assert floorplan.critical_path({"critical_paths": [{"from": "<async>", "to": "<async>", "path": []}]}) == (0.0, [])


@pytest.mark.parametrize(
    "name, block",
    [
        ("accelerator.array.row_3.general_0.product_TRELLIS_FF_Q", "systolic array"),
        ("array.row_3.general_0.product_TRELLIS_FF_Q", "systolic array"),
        ("accelerator.operand_row_11.k_bank.memory.0.0", "operand rows"),
        ("accelerator.column_3.z_bank.memory.0.0", "column buffers"),
        ("accelerator.column_3.divider.remainder_0", "adders, dividers"),
        ("accelerator.column_3.accumulator.sums.1", "partial sums"),
        ("accelerator.diagonal_column.adder.out", "diagonal column"),
        ("accelerator.v_sums.sums.0.0", "column sums, bias"),
        ("accelerator.loader_q.beat", "loaders, sender"),
        ("accelerator__s_axil_rdata_LUT4_Z", "control"),
        ("accelerator.pass_scheduler__load_LUT4_Z", "control"),
        ("accelerator.columns", placement.REST),
        ("host_link.receiver.bit", "host link"),
        ("clock_generator.locked", placement.REST),
    ],
)
def test_block_of_a_name(name, block):
    assert placement.block_of(name) == block


def test_every_block_of_a_board_is_in_the_legend():
    config = load_preset("tiny-4x4")
    verilog = emit(Accelerator(config))
    (top,) = re.findall(r"^module taylorvit .*?^endmodule", verilog, re.MULTILINE | re.DOTALL)
    instances = re.findall(r"^    \w+ (\w+) \(", top, re.MULTILINE)
    assert len(instances) > 2 * config.columns
    blocks = {placement.block_of(f"accelerator.{instance}.x") for instance in instances}
    assert blocks == placement.BLOCKS.keys() - {"column buffers", "adders, dividers", "host link"}
    inside = set(re.findall(r"^    \w+ (\w+) \(", verilog, re.MULTILINE)) - set(instances)
    for pattern in (placement.BLOCKS["column buffers"], placement.BLOCKS["adders, dividers"]):
        names = re.search(r"\\\.\((.*?)\)", pattern)[1].split("|")
        assert inside >= set(names)


@pytest.mark.parametrize(
    "name, block",
    [
        ("accelerator.engine.array.row_3.general_0.product_TRELLIS_FF_Q", "systolic array"),
        ("accelerator.engine.columns_0.column_1.kernel.g_bank.memory.0.0", "attention kernel"),
        ("accelerator.engine.rows_2.row_0.kernel_row.k_bank.memory.0.0", "attention kernel"),
        ("accelerator.engine.diagonal_column.places.memory.0.0", "attention kernel"),
        ("accelerator.engine.kernel_center.mean", "attention kernel"),
        ("accelerator.engine.columns_0.norm_lane_0.factor", "LayerNorm"),
        ("accelerator.engine.columns_2.column_0.norm_operand.word", "LayerNorm"),
        ("accelerator.engine.norm_statistics.root.bit", "LayerNorm"),
        ("accelerator.engine.columns_0.column_1.output_stage.table_bank.memory.0.0", "output stages"),
        ("accelerator.engine.columns_0.column_1.residual_bank.memory.0.0", "columns"),
        ("accelerator.engine.rows_2.row_0.activation_bank.memory.0.0", "rows"),
        ("accelerator.engine.streamer.tile", "sequence"),
        ("accelerator.engine__running_LUT4_Z", "sequence"),
        ("accelerator.host_side.tape_source.bank_0.memory.0.0", "memory of tapes"),
        ("accelerator.host_side.tape_checker.crc", "host side"),
        ("accelerator__s_axil_rdata_LUT4_Z", "host side"),
        ("register_loader.loading", "host link"),
        ("host_link.memory_writer.word", "host link"),
        ("clock_generator.locked", placement.REST),
    ],
)
def test_block_of_a_name_in_a_network_accelerator(name, block):
    assert placement.block_of(name, "network") == block


def test_every_block_of_a_network_accelerator_is_in_the_legend():
    """No instance of the accelerator is left to the rest, and every part of the legend is there."""
    for name in ("vit-tiny-4x4", "vit-tiny-4x4-mixed"):
        config = replace(load_preset(name), tape_source="memory", tape_memory_bytes=4096)
        paths = [path for path, _block in instances(NetworkAccelerator(config))]
        blocks = {placement.block_of(f"accelerator.{path}.x", "network") for path in paths}
        assert blocks == placement.NETWORK_BLOCKS.keys() - {"host link"}


def _cell(x, **connections):
    return {
        "attributes": {"NEXTPNR_BEL": f"X{x}/Y1/SLICEA.COMB0"},
        "parameters": {},
        "connections": connections,
    }


def test_cells_without_a_name_belong_to_their_neighbours(tmp_path):
    cells = {
        "array.sum": _cell(1, F=[2]),
        "$nextpnr_0": _cell(2, FCI=[2], FCO=[3]),
        "$nextpnr_1": _cell(3, FCI=[3]),
        "$PACKER_VCC": _cell(4, F=[4]),
    }
    module = {"settings": {"arch.type": "lfe5u_25f"}, "cells": cells}
    (tmp_path / "placed.json").write_text(json.dumps({"modules": {"top": module}}))
    resources = floorplan.resources(tmp_path / "placed.json", family=FAMILIES["ecp5"])
    assert {block: row["lut"] for block, row in resources.items()} == {"systolic array": 3, placement.REST: 1}
    modules = floorplan.modules(tmp_path / "placed.json", family=FAMILIES["ecp5"])
    assert {path: row["lut"] for path, row in modules.items()} == {"": 1, "array": 3}


def test_cells_of_gowin_that_count_several_times(tmp_path):
    def cell(name, place):
        return {name: {"attributes": {"NEXTPNR_BEL": f"X1Y18/{place}"}, "parameters": {}, "connections": {}}}

    cells = cell("array.sum", "MULT18X1800") | cell("array.sum_aux", "MULT9X900") | cell("array.sum_aux2", "MULT9X901")
    cells |= cell("array.sum_aux3", "PADD900") | cell("sender.bank.memory.0.0", "RAM16SDP4")
    module = {"settings": {"packer.chipdb": "GW1N-9C"}, "cells": cells}
    (tmp_path / "placed.json").write_text(json.dumps({"modules": {"top": module}}))
    assert floorplan.resources(tmp_path / "placed.json", family=FAMILIES["gowin"]) == {
        "systolic array": {"lut": 0, "ff": 0, "dsp": 2, "block_ram": 0},
        "loaders, sender": {"lut": 4, "ff": 0, "dsp": 0, "block_ram": 0},
    }


def test_errors(tmp_path):
    file = tmp_path / "placed.json"
    unplaced = {"settings": {"arch.type": "lfe5u_25f"}, "cells": {"a": {"attributes": {}, "connections": {}}}}
    for content in ("{", "[]", json.dumps({"modules": {}}), json.dumps({"modules": {"top": unplaced}})):
        file.write_text(content)
        with pytest.raises(
            ValueError, match=r"placed.json must be a design that nextpnr placed for ecp5, not anything"
        ):
            placement.read(file, family=FAMILIES["ecp5"])


def test_unknown_device_is_as_large_as_what_is_used(tmp_path):
    module = {"settings": {"arch.type": "lfe5u_13f"}, "cells": {"array.sum": _cell(6)}}
    (tmp_path / "placed.json").write_text(json.dumps({"modules": {"top": module}}))
    placed = placement.read(tmp_path / "placed.json", family=FAMILIES["ecp5"])
    assert (placed.device, placed.grid) == ("lfe5u_13f", (7, 2))
