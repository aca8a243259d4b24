"""Blocks are read part by part: an `elaborate` has at most 120 lines."""

from __future__ import annotations

import ast

import pytest

from verif import ROOT

MOST_LINES = 120


def lengths(text: str) -> dict[str, int]:
    """Class -> lines of its `elaborate`."""
    return {
        kind.name: method.end_lineno - method.lineno + 1
        for kind in ast.walk(ast.parse(text))
        if isinstance(kind, ast.ClassDef)
        for method in kind.body
        if isinstance(method, ast.FunctionDef) and method.name == "elaborate"
    }


@pytest.mark.parametrize("floor", ["rtl", "fpga"])
def test_every_elaborate_is_short(floor):
    found = {
        f"{path.relative_to(ROOT)}: {kind}": lines
        for path in sorted((ROOT / floor).rglob("*.py"))
        for kind, lines in lengths(path.read_text()).items()
    }
    assert len(found) > 10
    assert {place: lines for place, lines in found.items() if lines > MOST_LINES} == {}


def test_lines_are_counted():
    body = "\n".join(f"        line_{line}()" for line in range(MOST_LINES))
    text = f"class Long(Block):\n    def elaborate(self, platform):\n{body}\n\n    def other(self):\n        pass\n"
    assert lengths(text) == {"Long": MOST_LINES + 1}
