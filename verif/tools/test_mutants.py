"""Every fault applies to the design that it is for; what is not caught, or cannot be planted, is told."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from . import mutants
from .attention_faults import ATTENTION
from .mutants import DESIGNS, main
from .network_faults import NETWORK
from .planting import Design, Fault
from .softmax_faults import SOFTMAX

FAULTS = [(design, fault) for design in DESIGNS for fault in design.faults]


@cache
def verilog_of(design):
    return design.verilog()


@pytest.mark.parametrize("design, fault", FAULTS, ids=[fault.name.replace(" ", "-") for _design, fault in FAULTS])
def test_fault_applies_to_the_generated_verilog(design, fault):
    mutated = fault.plant(verilog_of(design))
    assert mutated != verilog_of(design)
    assert mutated.count("module") == verilog_of(design).count("module")


def test_enough_faults_of_different_names():
    for design in DESIGNS:
        assert len({fault.name for fault in design.faults}) == len(design.faults) > 0
    assert len(ATTENTION.faults) >= 12 and len(SOFTMAX.faults) >= 12
    assert sum(len(design.faults) for design in NETWORK) >= 25


@pytest.mark.parametrize(
    "outcomes, status, text",
    [
        ([None, "sizes", "resets"], 0, "2 of 2 faults caught"),
        ([None, "sizes", None], 1, "1 of 2 faults caught"),
        (["sizes"], 1, "the design without a fault must pass, but sizes failed: tiny-4x4"),
    ],
)
def test_exit_status(monkeypatch, capsys, outcomes, status, text):
    monkeypatch.setattr(Design, "first_failure", lambda _self, _verilog: outcomes.pop(0))
    monkeypatch.setattr(mutants, "DESIGNS", (replace(ATTENTION, faults=ATTENTION.faults[:2]),))
    assert main(["-j", "1"]) == status
    output = capsys.readouterr()
    assert text in output.out + output.err


def test_a_fault_that_does_not_apply_ends_it(monkeypatch, capsys):
    wrong = replace(ATTENTION, faults=(Fault("none", "taylorvit", "no such text", ""),))
    monkeypatch.setattr(mutants, "DESIGNS", (wrong,))
    assert main([]) == 2
    assert "cannot plant none: pattern must match once in taylorvit" in capsys.readouterr().err


def test_a_word_that_is_in_no_name(capsys):
    assert main(["-k", "no such fault"]) == 2
    assert "faults must have a name, module or design that contains the word given" in capsys.readouterr().err
