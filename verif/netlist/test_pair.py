"""Netlists against RTL and golden: every family after synthesis, ECP5 and iCE40 after routing; and faults are found."""

from __future__ import annotations

import pytest

from taylorvit.gen.generate import port_table, top
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.simulation import SimulationError, run

from . import bench
from .cell_models import CELL_MODELS
from .designs import (
    ACCELERATORS,
    LEAN_NETWORK,
    LEAN_NETWORKS,
    NETWORK,
    NETWORKS,
    SHAPES,
    SOFTMAX,
    arithmetic_blocks,
)
from .flow import make_netlist
from .pair import build_pair

CYCLES = 400
TIME_LIMIT = 3600  # seconds of a network's simulation
#: The ECP5 is routed at night: its synthesized netlist is simulated with softmax.
LAST_STAGES = [
    pytest.param("ecp5", "post-route", marks=pytest.mark.nightly),
    ("ice40", "post-route"),
    ("gowin", "post-synthesis"),
]


def run_blocks(family, netlist):
    """Runs the arithmetic blocks of a family beside their netlist."""
    design = arithmetic_blocks(family)
    inputs = [name for name, direction, _width, _signed in port_table(design) if direction == "input"]
    values = {"inputs": [name for name in inputs if name not in ("clk", "rst")], "cycles": CYCLES}
    return run(
        build_pair(design, netlist, CELL_MODELS[family]), bench.__name__, testcase="blocks_equal_rtl", parameters=values
    )


@pytest.mark.parametrize("family", CELL_MODELS)
def test_blocks_after_synthesis(family):
    run_blocks(family, make_netlist(arithmetic_blocks(family), CELL_MODELS[family], "post-synthesis"))


@pytest.mark.parametrize("family, stage", LAST_STAGES)
def test_accelerator(family, stage):
    config = ACCELERATORS[family]
    design = Accelerator(config)
    netlist = make_netlist(design, CELL_MODELS[family], stage)
    assert any(cell in netlist.cell_types() for cell in ("DP16KD", "ICESTORM_RAM", "DPX9B", "SDPX9B", "SDPB", "DPB"))
    run(
        build_pair(design, netlist, CELL_MODELS[family]),
        bench.__name__,
        testcase="accelerator_equals_golden_and_rtl",
        parameters={"config": config.to_mapping(), "shapes": SHAPES[family]},
    )


def test_softmax_accelerator():
    models = CELL_MODELS["ecp5"]
    design = Accelerator(SOFTMAX)
    netlist = make_netlist(design, models, "post-synthesis")
    assert "DP16KD" in netlist.cell_types() and "TRELLIS_DPR16X4" in netlist.cell_types()
    run(
        build_pair(design, netlist, models),
        bench.__name__,
        testcase="accelerator_equals_golden_and_rtl",
        parameters={"config": SOFTMAX.to_mapping(), "shapes": SHAPES["softmax"]},
    )


@pytest.mark.nightly
@pytest.mark.parametrize(
    "family, stage, config, networks, images",
    [
        ("ecp5", "post-synthesis", NETWORK, NETWORKS, 1),
        ("ice40", "post-synthesis", NETWORK, NETWORKS, 1),
        ("ecp5", "post-route", LEAN_NETWORK, LEAN_NETWORKS, 3),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_network(family, stage, config, networks, images):
    design = top(config)
    netlist = make_netlist(design, CELL_MODELS[family], stage)
    result = run(
        build_pair(design, netlist, CELL_MODELS[family]),
        bench.__name__,
        testcase="network_equals_golden_and_rtl",
        parameters={"config": config.to_mapping(), "networks": networks, "images": images},
        timeout_s=TIME_LIMIT,
    )
    assert result.compared > images * len(networks)


def merge_registers(netlist):
    """What synthesis was seen to do with multipliers of iCE40: two registers that are not the same become one."""
    registers = [cell for cell in netlist.cells.values() if cell.type == "SB_DFFE"]
    first, second = registers[0], next(cell for cell in registers if cell.pins["E"] != registers[0].pins["E"])
    replaced, kept = second.pins["Q"][0], first.pins["Q"][0]
    for cell in netlist.cells.values():
        for port in cell.inputs:
            cell.pins[port] = [kept if bit == replaced else bit for bit in cell.pins[port]]


def invert_table(netlist):
    """One look-up table gives the opposite."""
    table = next(cell for cell in netlist.cells.values() if cell.type == "SB_LUT4")
    table.parameters["LUT_INIT"] = table.parameters["LUT_INIT"].translate(str.maketrans("01", "10"))


def drop_product_register(netlist):
    """A multiplier without the register behind it."""
    multiplier = next(cell for cell in netlist.cells.values() if cell.type == "SB_MAC16")
    multiplier.parameters["PIPELINE_16x16_MULT_REG2"] = "0"


@pytest.mark.parametrize("fault", [merge_registers, invert_table, drop_product_register])
def test_fault_is_found(fault):
    family = "ice40"
    netlist = make_netlist(arithmetic_blocks(family), CELL_MODELS[family], "post-synthesis")
    fault(netlist)
    with pytest.raises(SimulationError, match="cycles in which the netlist is not as the RTL"):
        run_blocks(family, netlist)
