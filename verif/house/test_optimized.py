"""Nothing depends on docstrings or `assert`, which `python -OO` drops.

`assert x is not None` is there for the type checker, and does nothing.
"""

import ast
import re

import pytest

from verif import ROOT

SOURCES = [
    path
    for folder in ("boundary", "rtl", "gen", "golden", "fpga", "taylorvit", "verif")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not path.name.startswith(("test_", "conftest"))
]
READS_DOCSTRINGS = {"gen/verilog.py"}  # and the source where there are none (test_generate.py)


@pytest.mark.parametrize("folder", sorted({path.relative_to(ROOT).parts[0] for path in SOURCES}))
def test_no_code_is_dropped_that_does_something(folder):
    sources = [path for path in SOURCES if path.relative_to(ROOT).parts[0] == folder]
    assert sources
    for path in sources:
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assert):
                assert re.fullmatch(r"[\w.]+ is not None", ast.unparse(node.test)), f"{name}:{node.lineno}: assert"
            if (
                isinstance(node, ast.Name)
                and node.id == "__doc__"
                or isinstance(node, ast.Attribute)
                and node.attr == "__doc__"
            ):
                assert name in READS_DOCSTRINGS, f"{name}:{node.lineno}: __doc__"
