"""Names in the Verilog are those of variables, whichever Python runs.

Amaranth finds out what a signal is assigned to and names it so. Where several are assigned at once, versions of Python
differ in what it finds.
"""

from __future__ import annotations

import ast

import pytest

from verif import ROOT

MAKERS = {"Signal", "like", "create", "read_port", "write_port"}


def unnamed(text: str) -> list[int]:
    """Lines in which several signals without names of their own are assigned at once."""
    return [
        statement.lineno
        for statement in ast.walk(ast.parse(text))
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Tuple)
        and isinstance(statement.value, ast.Tuple)
        for value in statement.value.elts
        if isinstance(value, ast.Call)
        and getattr(value.func, "attr", getattr(value.func, "id", "")) in MAKERS
        and not {"name", "name_suffix", "path"} & {keyword.arg for keyword in value.keywords}
    ]


@pytest.mark.parametrize("floor", ["rtl", "fpga"])
def test_signals_are_named_one_by_one(floor):
    paths = sorted((ROOT / floor).rglob("*.py"))
    assert len(paths) > 10
    assert {str(path.relative_to(ROOT)): lines for path in paths if (lines := unnamed(path.read_text()))} == {}


def test_unnamed_signals_are_found():
    text = 'a, b = Signal(), 1\nc, d = Signal(name="c"), x\nwrite, read = memory.write_port(), y\ne = Signal()\n'
    assert unnamed(text) == [1, 3]
