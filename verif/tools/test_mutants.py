"""Planting of faults: each is one change at one place, and says so where it is not."""

from __future__ import annotations

import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.accelerator import Accelerator
from verif.regression.configurations import CONFIGURATIONS

from . import mutants
from .mutants import FAULTS, Fault, main, plant

VERILOG = """module adder (input a);
assign sum = a + b;
assign next = a + c;
endmodule
module adder_tree (input a);
assign sum = a + b;
endmodule
"""


@pytest.fixture(scope="module")
def design():
    return emit(Accelerator(CONFIGURATIONS[mutants.CONFIGURATION]))


def test_one_module_is_changed():
    assert plant(VERILOG, Fault("sign", "adder", r"\+ b", "- b")) == VERILOG.replace("+ b", "- b", 1)
    assert plant(VERILOG, Fault("sign", "adder_tree", r"\+ b", "- b")).endswith("a - b;\nendmodule\n")


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
        plant(VERILOG, fault)
    assert message in str(error.value)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault_applies_to_the_generated_verilog(design, fault):
    mutated = plant(design, fault)
    assert mutated != design
    assert mutated.count("module") == design.count("module")


def test_enough_faults_of_different_names():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 12


@pytest.mark.parametrize(
    "outcomes, status, text",
    [
        ([None, "sizes", "resets"], 0, "2 of 2 faults caught"),
        ([None, "sizes", None], 1, "1 of 2 faults caught"),
        (["sizes"], 1, "the design without a fault must pass, but sizes failed"),
    ],
)
def test_exit_status(monkeypatch, capsys, design, outcomes, status, text):
    monkeypatch.setattr(mutants, "first_failure", lambda _verilog: outcomes.pop(0))
    monkeypatch.setattr(mutants, "FAULTS", FAULTS[:2])
    assert main(["-j", "1"]) == status
    output = capsys.readouterr()
    assert text in output.out + output.err


def test_a_fault_that_does_not_apply_ends_it(monkeypatch, capsys, design):
    monkeypatch.setattr(mutants, "FAULTS", (Fault("none", "taylorvit", "no such text", ""),))
    assert main([]) == 2
    assert "cannot plant none: pattern must match once in taylorvit" in capsys.readouterr().err
