"""Libraries log, return tables, or call back; commands alone print."""

import ast

import pytest

from verif import ROOT

SPEAKERS = ("taylorvit/commands/", "boundary/command.py", "boundary/screen.py")
SCREENS = ("rich.console", "rich.live", "rich.progress", "rich.status")


def speaks(text):
    """Lines of a source that print, or that import what shows something."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module in SCREENS:
            yield node.lineno
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"):
            yield node.lineno


@pytest.mark.parametrize("folder", ["boundary", "rtl", "golden", "gen", "fpga", "taylorvit"])
def test_only_commands_print(folder):
    sources = list((ROOT / folder).rglob("*.py"))
    assert sources
    for path in sources:
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(SPEAKERS):
            assert not list(speaks(path.read_text(encoding="utf-8"))), name


def test_what_speaks_is_found():
    for text in ("def f():\n    print(1)", "from rich.console import Console", "import sys\nsys.stderr.write('a')"):
        assert list(speaks(text))
    assert not list(speaks("log.info('print')\nfrom rich.table import Table"))
