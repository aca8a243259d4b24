"""Planting of faults: each is one change at one place, and says so where it is not."""

from __future__ import annotations

import pytest

from .planting import Fault

VERILOG = """module adder (input a);
assign sum = a + b;
assign next = a + c;
endmodule
module adder_tree (input a);
assign sum = a + b;
endmodule
"""


def test_one_module_is_changed():
    assert Fault("sign", "adder", r"\+ b", "- b").plant(VERILOG) == VERILOG.replace("+ b", "- b", 1)
    assert Fault("sign", "adder_tree", r"\+ b", "- b").plant(VERILOG).endswith("a - b;\nendmodule\n")


@pytest.mark.parametrize(
    "fault, message",
    [
        (Fault("sign", "subtractor", "a", "b"), "module must be in the Verilog once, not 0 times: 'subtractor'"),
        (Fault("sign", "adder", r"a \+", "a -"), "pattern must match once in adder, and change it, not 2 times"),
        (Fault("sign", "adder", "d", "e + d"), "pattern must match once in adder, and change it, not"),
        (Fault("sign", "adder", "product", "sum"), "and change it, not 0 times: 'product'"),
        (Fault("same", "adder", "next", "next"), "pattern must match once in adder"),
    ],
)
def test_what_cannot_be_planted_is_an_error(fault, message):
    with pytest.raises(ValueError) as error:
        fault.plant(VERILOG)
    assert message in str(error.value)
