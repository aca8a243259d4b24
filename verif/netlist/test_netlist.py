"""Reading netlists, writing them as Verilog, the rules for pins, and models that refuse what they do not describe."""

from __future__ import annotations

import json

import pytest

from taylorvit.simulation import ToolError, build

from .cell_models import CELL_MODELS
from .netlist import Cell, Netlist, NetlistError, Port, read_netlist, restore_constant_ports
from .verilog import write_verilog


def module(**cells):
    """A module as in a file: an input a on net 2, an output y on net 3, and cells."""
    ports = {"a": {"direction": "input", "bits": [2]}, "y": {"direction": "output", "bits": [3]}}
    return {"ports": ports, "cells": cells}


def cell(kind, parameters=None, **pins):
    """A cell as in a file: pins in capitals, those named Q, Z, F or O being outputs."""
    directions = {name: "output" if name in "QZFO" else "input" for name in pins}
    return {"type": kind, "parameters": parameters or {}, "port_directions": directions, "connections": pins}


def read(tmp_path, **modules):
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": modules}), encoding="utf-8")
    return read_netlist(path)


def resolved(family, kind, parameters=None, **pins):
    """A cell after the rule of a family."""
    raw = cell(kind, parameters, **pins)
    bits_of = {name: bits or [None] for name, bits in pins.items()}
    result = Cell(kind, raw["parameters"], raw["port_directions"], bits_of)
    CELL_MODELS[family].rule("it", result)
    return result


def nothing(_label, _cell):
    pass


# Reading


def test_read_leaves_out_what_is_no_hardware(tmp_path):
    library = {"attributes": {"blackbox": "00000001"}, "ports": {}, "cells": {}}
    top = module(scope=cell("$scopeinfo"), one=cell("INV", A=[2], Z=[3]))
    netlist = read(tmp_path, INV=library, top=top)
    assert netlist.name == "top"
    assert netlist.cell_types() == {"INV": 1}


def test_read_number_that_nothing_drives_is_a_free_pin(tmp_path):
    netlist = read(tmp_path, top=module(one=cell("LUT2", A=[2], B=[99], Z=[3])))
    assert netlist.cells["one"].pins == {"A": [2], "B": [None], "Z": [3]}


def test_read_nets_held_at_a_level_become_constants(tmp_path):
    ground = {**cell("GND", G=[7]), "port_directions": {"G": "output"}}
    netlist = read(tmp_path, top=module(ground=ground, one=cell("LUT2", A=[2], B=[7], Z=[3])))
    assert netlist.cells["one"].pins["B"] == ["0"]
    assert netlist.cell_types() == {"LUT2": 1}


def test_read_text_that_looks_like_bits(tmp_path):
    netlist = read(tmp_path, top=module(one=cell("FF", {"SD": "1 ", "CEMUX": "CE"}, D=[2], Q=[3])))
    assert (netlist.cells["one"].text("SD"), netlist.cells["one"].text("CEMUX")) == ("1", "CE")
    assert '.CEMUX("CE"), .SD("1")' in write_verilog(netlist, "it", nothing)


def test_read_needs_one_module(tmp_path):
    with pytest.raises(NetlistError, match=r"netlist must have one module, not \['other', 'top'\]"):
        read(tmp_path, top=module(), other=module())


# Writing


def test_write_connects_by_net(tmp_path):
    netlist = read(tmp_path, top=module(one=cell("LUT2", {"INIT": "1000"}, A=[2], B=["x"], Z=[3])))
    text = write_verilog(netlist, "it", nothing)
    assert "LUT2 #(.INIT(4'b1000)) c0 (.A(n2), .B(1'b0), .Z(n3));" in text
    assert "assign n2 = a[0];" in text and "assign y[0] = n3;" in text


def test_write_refuses_two_drivers(tmp_path):
    netlist = read(tmp_path, top=module(one=cell("INV", A=[2], Z=[3]), two=cell("INV", A=[2], Z=[3])))
    with pytest.raises(NetlistError, match="net must have one driver, not 2: 3"):
        write_verilog(netlist, "it", nothing)


def test_write_refuses_an_output_without_net(tmp_path):
    with pytest.raises(NetlistError, match=r"output must have a net: y\[0\]"):
        write_verilog(read(tmp_path, top=module()), "it", nothing)


def test_constant_outputs_come_from_before_routing():
    routed = Netlist("top", {"y": Port("output", [None, 4])})
    restore_constant_ports(routed, Netlist("top", {"y": Port("output", ["1", 9])}))
    assert routed.ports["y"].bits == ["1", 4]
    routed = Netlist("top", {"y": Port("output", [None])})
    with pytest.raises(NetlistError, match=r"output must be constant before routing to be left out of it: y\[0\]"):
        restore_constant_ports(routed, Netlist("top", {"y": Port("output", [9])}))


# Rules


def test_ecp5_table_reads_1_at_free_pins():
    assert resolved("ecp5", "TRELLIS_COMB", {"INITVAL": "10"}, A=[2], B=[], M=[], F=[3]).pins == {
        "A": [2],
        "B": ["1"],
        "M": ["0"],
        "F": [3],
        "INITVAL": ["0", "1", *"0" * 14],
    }


@pytest.mark.parametrize("selected, source", [("1 ", 5), ("0 ", 6)])
def test_ecp5_register_takes_data_from_either_side(selected, source):
    register = resolved("ecp5", "TRELLIS_FF", {"SD": selected}, CLK=[2], DI=[5], M=[6], Q=[3])
    assert register.pins == {"CLK": [2], "DI": [source], "LSR": ["0"], "CE": ["1"], "Q": [3]}
    assert register.parameters == {}


def test_ecp5_multiplier_has_control_pins_at_1_and_data_pins_as_their_parameters_say():
    multiplier = resolved("ecp5", "MULT18X18D", {"A1MUX": "1 ", "A0MUX": "0 "}, A0=[], A1=[], RST0=[], CLK0=[])
    assert {port: bits for port, bits in multiplier.pins.items() if port[-1] in "01" and port != "RST1"} == {
        "A0": ["0"], "A1": ["1"], "CLK0": ["0"], "CE0": ["1"], "CE1": ["1"], "RST0": ["1"],
    }  # fmt: skip


def test_ice40_logic_cell_is_enabled_where_nothing_says_so():
    logic = resolved("ice40", "ICESTORM_LC", {"LUT_INIT": "0"}, I0=[2], I1=[], CEN=[], SR=[], O=[3])
    assert (logic.pins["I1"], logic.pins["CEN"], logic.pins["SR"]) == (["0"], ["1"], ["0"])


@pytest.mark.parametrize(
    "family, kind, parameters, pins, message",
    [
        ("ecp5", "TRELLIS_COMB", {}, {"F1": [2], "FXA": [3]}, "TRELLIS_COMB must have one multiplexer, not"),
        ("ecp5", "TRELLIS_COMB", {"MODE": "DPRAM", "INITVAL": "1"}, {}, "TRELLIS_COMB must be zero at first"),
        ("ecp5", "DP16KD", {"CEAMUX": "INV"}, {"CEA": [2]}, "CEAMUX of a DP16KD must be CEA, not 'INV'"),
        ("ecp5", "DP16KD", {}, {"WEB": [2]}, "WEB of a DP16KD must be 0"),
        ("ecp5", "MULT18X18D", {}, {"SIGNEDA": []}, "pin SIGNEDA of a MULT18X18D must be connected"),
        ("ecp5", "TRELLIS_IO", {"DIR": "BIDIR"}, {}, "kind of a TRELLIS_IO must be one of INPUT, OUTPUT, not 'BIDIR'"),
        ("ecp5", "DCCA", {}, {"CE": [4]}, "CE of a DCCA must be free"),
        ("ice40", "SB_IO", {"PIN_TYPE": "101001"}, {}, "kind of a SB_IO must be one of 000001, 011001, not '101001'"),
        ("ice40", "ICESTORM_RAM", {"NEG_CLK_W": "1"}, {}, "NEG_CLK_W of an ICESTORM_RAM must be 0"),
        ("ice40", "ICESTORM_DSP", {}, {"CO": [4]}, "CO of an ICESTORM_DSP must be free"),
        ("gowin", "DPX9B", {}, {"WREB": [2]}, "WREB of a DPX9B must be 0"),
        ("gowin", "SDPB", {"BLK_SEL_1": "001"}, {}, "BLK_SEL_1 of a SDPB must be 000"),
    ],
)
def test_rules_refuse_what_is_not_modelled(family, kind, parameters, pins, message):
    with pytest.raises(NetlistError, match=message):
        resolved(family, kind, parameters, **pins)


# Models


@pytest.mark.parametrize(
    "family, instance, refusal",
    [
        ("ecp5", 'TRELLIS_FF #(.SRMODE("CE_OVER_LSR")) it ();', "TRELLIS_FF_has_no_such_SRMODE"),
        ("ecp5", 'TRELLIS_COMB #(.MODE("OTHER")) it ();', "TRELLIS_COMB_has_no_such_MODE"),
        ("ecp5", "DP16KD #(.DATA_WIDTH_A(9)) it ();", "DP16KD_must_have_ports_of_one_width"),
        ("ecp5", "DP16KD #(.DATA_WIDTH_A(5), .DATA_WIDTH_B(5)) it ();", "block_ram_has_no_such_WIDTH"),
        ("ice40", "ICESTORM_LC #(.NEG_CLK(1)) it ();", "ICESTORM_LC_has_no_such_NEG_CLK"),
        ("gowin", "ALU #(.ALU_MODE(3)) it ();", "ALU_has_no_such_ALU_MODE"),
        ("ecp5", "TRELLIS_FF #(.UNKNOWN(1)) it ();", "UNKNOWN"),
        ("gowin", "OSC it ();", "OSC"),
    ],
)
def test_models_refuse_what_they_do_not_describe(family, instance, refusal):
    verilog = f"module refusing; {instance} endmodule\n" + CELL_MODELS[family].text()
    with pytest.raises(ToolError, match=refusal):
        build(verilog, "refusing", simulator="verilator", waves=False)
