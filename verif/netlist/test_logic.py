"""Cells written as logic equal the models of Yosys' library: proven for all inputs, and for registers, all states."""

from __future__ import annotations

import itertools
import random

import pytest

from verif.tools.yosys import run_yosys

from .cell_models import CELL_MODELS
from .logic import Register, always_blocks, look_up
from .netlist import Cell, Netlist, Port
from .verilog import write_verilog

TABLES = [*(f"{1 << bit:016b}" for bit in range(16)), "1" * 16, *(f"{random.Random(1).getrandbits(16):016b}",)]
# The library compares pins with z, where a free pin has a level of its own; here none is free.
NO_Z = """(* techmap_celltype = "$eqx" *)
module no_z (A, B, Y);
  parameter A_SIGNED = 0, B_SIGNED = 0, A_WIDTH = 1, B_WIDTH = 1, Y_WIDTH = 1;
  input [A_WIDTH-1:0] A; input [B_WIDTH-1:0] B; output [Y_WIDTH-1:0] Y;
  assign Y = 0;
endmodule
"""

# In the library, a wire of the same name hides the carry output of TRELLIS_COMB: CCU2C has it, behind a half that
# passes it on.
CARRY = """module carry (input A, B, C, D, FCI, output FCO);
  parameter INITVAL = 16'd0, MODE = "CCU2", CCU2_INJECT1 = "NO", WREMUX = "WRE";
  CCU2C #(.INIT0(INITVAL), .INIT1(16'hffff), .INJECT1_0(CCU2_INJECT1), .INJECT1_1("NO")) both (
    .CIN(FCI), .A0(A), .B0(B), .C0(C), .D0(D), .A1(1'b0), .B1(1'b0), .C1(1'b0), .D1(1'b0), .COUT(FCO)
  );
endmodule
"""


def variants(kind, inputs, outputs, **parameters):
    """Cells of a type: each combination of the values of its parameters."""
    for values in itertools.product(*parameters.values()):
        yield kind, inputs, outputs, dict(zip(parameters, values, strict=True))


def registers(kinds, **parameters):
    for kind, inputs in kinds.items():
        yield from variants(kind, inputs, ["Q"], **parameters)


ABCD, I0123 = [*"ABCD"], ["I0", "I1", "I2", "I3"]
COMB = [*ABCD, "M", "F1", "FXA", "FXB"]
CASES = {
    "ecp5": [
        *variants("LUT4", ABCD, ["Z"], INIT=TABLES),
        *variants("TRELLIS_COMB", COMB[:-2], ["F", "OFX"], INITVAL=TABLES),
        *(case for inputs, outputs in (([*COMB[:-2], "FCI"], ["F", "OFX"]), ([*ABCD, "FCI"], ["FCO"]))
          for case in variants("TRELLIS_COMB", inputs, outputs, INITVAL=TABLES, MODE=["CCU2"],
                               CCU2_INJECT1=["YES", "NO"], WREMUX=["WRE"])),
        *variants(
            "TRELLIS_FF", ["CLK", "CE", "LSR", "DI"], ["Q"], CEMUX=["1 ", "CE", "INV"], LSRMUX=["LSR"],
            REGSET=["SET", "RESET"], GSR=["DISABLED"], SRMODE=["LSR_OVER_CE"],
        ),
    ],
    "ice40": [
        *variants("SB_LUT4", I0123, ["O"], LUT_INIT=TABLES),
        *variants(
            "ICESTORM_LC", [*I0123, "CLK", "CEN", "SR"], ["O", "LO"], LUT_INIT=TABLES[-3:], DFF_ENABLE=["0", "1"],
            SET_NORESET=["0", "1"],
        ),
        *registers({
            "SB_DFF": ["C", "D"], "SB_DFFE": ["C", "E", "D"], "SB_DFFSR": ["C", "R", "D"],
            "SB_DFFSS": ["C", "S", "D"], "SB_DFFESR": ["C", "E", "R", "D"], "SB_DFFESS": ["C", "E", "S", "D"],
        }),
    ],
    "gowin": [
        *(case for n in range(1, 5) for case in variants(
            f"LUT{n}", I0123[:n], ["F"], INIT=sorted({table[-(1 << n):] for table in TABLES}))),
        *registers({"DFF": ["CLK", "D"], "DFFE": ["CLK", "CE", "D"]}, INIT=["0", "1"]),
        *registers({"DFFS": ["CLK", "SET", "D"], "DFFSE": ["CLK", "CE", "SET", "D"]}, INIT=["1"]),
        *registers({"DFFR": ["CLK", "RESET", "D"], "DFFRE": ["CLK", "CE", "RESET", "D"]}, INIT=["0"]),
    ],
}  # fmt: skip


def side_by_side(cases):
    """The cells as a netlist, and as Verilog of instances; inputs of one name are the same for all."""
    names = sorted({name for _kind, inputs, _outputs, _parameters in cases for name in inputs})
    net_of = {name: number for number, name in enumerate(names, start=2)}
    cells, instances, outputs, last = {}, [], [], len(names) + 2
    for number, (kind, inputs, driven, parameters) in enumerate(cases):
        pins = {name: [net_of[name]] for name in inputs} | {name: [last + n] for n, name in enumerate(driven)}
        directions = dict.fromkeys(inputs, "input") | dict.fromkeys(driven, "output")
        cells[f"cell {number}"] = Cell(kind, dict(parameters), directions, pins)
        connections = [f".{name}({name})" for name in inputs]
        connections += [f".{name}(y[{len(outputs) + n}])" for n, name in enumerate(driven)]
        values = ", ".join(f".{name}({verilog_value(value)})" for name, value in parameters.items())
        model = "carry" if driven == ["FCO"] else kind
        instances.append(f"  {model} #({values}) cell_{number} ({', '.join(connections)});")
        outputs += range(last, last + len(driven))
        last += len(driven)
    ports = {name: Port("input", [net_of[name]]) for name in names} | {"y": Port("output", outputs)}
    header = ", ".join([*(f"input wire [0:0] {name}" for name in names), f"output wire [{len(outputs) - 1}:0] y"])
    return Netlist("gate", ports, cells), "\n".join([f"module gold({header});", *instances, "endmodule", ""])


def verilog_value(value):
    return f"{len(value)}'b{value}" if set(value) <= {"0", "1"} else f'"{value.strip()}"'


@pytest.mark.parametrize("family", CELL_MODELS)
def test_logic_equals_the_library(family, tmp_path):
    models = CELL_MODELS[family]
    assert {case[0] for case in CASES[family]} == set(models.inlined)
    netlist, gold = side_by_side(CASES[family])
    gate = write_verilog(netlist, "gate", models.rule, models.inlined)
    assert not any(f" {kind} " in gate for kind in models.inlined), "a cell is an instance"
    (tmp_path / "gold.v").write_text(gold + (CARRY if family == "ecp5" else ""), encoding="utf-8")
    (tmp_path / "no_z.v").write_text(NO_Z, encoding="utf-8")
    (tmp_path / "gate.v").write_text(gate, encoding="utf-8")
    script = (
        f"read_verilog -defer -overwrite +/{family}/cells_sim.v; read_verilog gold.v; hierarchy -top gold; "
        "proc; flatten; techmap -map no_z.v; read_verilog gate.v; proc; "
        "miter -equiv -flatten -make_assert gold gate miter; hierarchy -top miter; opt_expr; opt_clean; "
        "sat -verify -prove-asserts -tempinduct -seq 1 miter"
    )
    proven, log = run_yosys(tmp_path, "-p", script)
    assert proven, log[-2000:]


def test_table_at_constant_inputs():
    assert look_up([*"01"], [5]) == "n5"
    assert look_up([*"10"], [5]) == "!n5"
    assert look_up([*"0111"], [5], ["1"]) == "1'b1"
    assert look_up([*"0110"], ["1"], [7]) == "!n7"
    assert look_up([*"0110"], [6], [7]) == "4'b0110 >> {n7, n6}"


def test_lines_are_short_with_any_number_of_registers():
    registers = [Register(f"q{number}", f"d{number}", "clk", reset="rst") for number in range(50_000)]
    lines = "\n".join(always_blocks(registers)).splitlines()
    assert sum("<= d" in line for line in lines) == len(registers) and max(map(len, lines)) < 100
