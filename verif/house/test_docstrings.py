"""Public methods of gateware have docstrings, where ruff does not look because `elaborate` needs none."""

import ast

from verif import ROOT

NEED_NONE = {"elaborate", "multiply"}
"""What Amaranth, or `rtl.array.multiplier.base`, says of every block."""


def undocumented(text: str) -> list[str]:
    """Methods that are public, by "Class.method", and have no docstring."""
    return [
        f"{kind.name}.{method.name}"
        for kind in ast.walk(ast.parse(text))
        if isinstance(kind, ast.ClassDef) and not kind.name.startswith("_")
        for method in kind.body
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("_")
        if method.name not in NEED_NONE and ast.get_docstring(method) is None
    ]


def test_methods_of_gateware_say_what_they_do():
    files = [path for floor in ("rtl", "fpga") for path in (ROOT / floor).rglob("*.py")]
    assert len(files) > 60
    found = {path.relative_to(ROOT).as_posix(): undocumented(path.read_text(encoding="utf-8")) for path in files}
    assert {place: methods for place, methods in found.items() if methods} == {}


def test_a_method_without_docstring_is_found():
    text = "class Block:\n    def elaborate(self):\n        pass\n\n    def latency(self):\n        pass\n"
    assert undocumented(text) == ["Block.latency"]
