"""A netlist and the RTL that it was made from, side by side in one simulation.

    inputs --+--> RTL ------+--> [=] --> differences
             |              |     ^
             '--> netlist --+-----'
                            '--> outputs

The pair has the ports of the design: a bench drives it as it drives the design, and what it sees is what the netlist
does. `differences` counts the cycles in which any output of the two was unequal; the first ones are in the log. Data of
a channel counts only while its valid is high: what a block RAM reads where it is being written is unknown, and may well
be seen on a channel that offers nothing.
"""

from __future__ import annotations

import re

from taylorvit.gen.generate import port_table
from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.block import Block
from taylorvit.simulation import Build, build

from .cell_models import CellModels
from .netlist import Netlist
from .verilog import write_verilog

__all__ = ["PAIR", "build_pair", "pair_verilog"]

PAIR = "netlist_pair"
NETLIST = "netlist_under_test"
DIFFERENCES_LOGGED = 20


def build_pair(design: Block, netlist: Netlist, models: CellModels, clock: str = "clk") -> Build:
    """The simulation of `design` beside the netlist that was made of it; `clock` as in `pair_verilog`."""
    under_test = write_verilog(netlist, NETLIST, models.rule, models.inlined)
    text = "\n".join([emit(design), under_test, models.text(), pair_verilog(design, clock)])
    return build(text, PAIR, optimized=False)


def pair_verilog(design: Block, clock: str = "clk") -> str:
    """The module that joins the two; differences are counted at rising edges of the port `clock`."""
    ports = port_table(design)
    inputs = [name for name, direction, _width, _signed in ports if direction == "input"]
    outputs = [name for name, direction, _width, _signed in ports if direction == "output"]
    width = {name: f"[{width - 1}:0]" for name, _direction, width, _signed in ports}
    declarations = [f"  {'input' if name in inputs else 'output'} wire {width[name]} {name}," for name in width]
    same = [f".{name}({name})" for name in inputs]
    expected = [f".{name}(expected_{name})" for name in outputs]
    found = [f".{name}({name})" for name in outputs]
    lines = [
        f"module {PAIR} (", *declarations, "  output reg [31:0] differences", ");",
        *(f"  wire {width[name]} expected_{name};" for name in outputs),
        f"  {design.module_name} rtl ({', '.join(same + expected)});",
        f"  {NETLIST} netlist ({', '.join(same + found)});",
        "  initial differences = 0;",
        *(f"  wire differs_{name} = {_offered(name, outputs)}{name} != expected_{name};" for name in outputs),
        f"  always @(posedge {clock}) if ({' || '.join(f'differs_{name}' for name in outputs)}) begin",
        "    differences <= differences + 1;",
        f"    if (differences < {DIFFERENCES_LOGGED}) begin",
        *(f'      if (differs_{name}) $display("%0t: {name} is %h in the netlist, %h in the RTL", $time, {name}, '
          f"expected_{name});" for name in outputs),
        "    end",
        "  end",
        "endmodule",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _offered(name: str, outputs: list[str]) -> str:
    """The condition under which an output carries something: of AXI channels, that the RTL's valid is high."""
    valid = re.sub("(data|last|resp)$", "valid", name)
    return f"expected_{valid} && " if valid != name and valid in outputs else ""
