"""The names at the top of the package: loaded when they are used, and listed."""

import ast
import importlib
import json
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import taylorvit
from verif import ROOT


def test_every_name_is_what_its_module_has():
    for name in taylorvit.__all__:
        module = importlib.import_module(f"taylorvit.{taylorvit._MODULES[name]}")
        assert getattr(taylorvit, name) is getattr(module, name)
    assert set(taylorvit.__all__) == set(taylorvit._MODULES) <= set(dir(taylorvit))


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'taylorvit' has no attribute 'accelerate'"):
        taylorvit.accelerate  # noqa: B018


def test_the_folder_alone_says_what_it_is():
    """As it is found from the root of a checkout that is not installed, or is installed as a wheel."""
    script = f"import sys; sys.path[:0] = [{str(ROOT)!r}]; import taylorvit; taylorvit.emit"
    result = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=600)
    assert result.returncode == 1 and result.stderr.splitlines()[-1].startswith(
        "ModuleNotFoundError: cannot import taylorvit.gen: this is the folder taylorvit of a checkout, not the whole "
        "package; install the checkout"
    )


@pytest.mark.slow
def test_example_of_the_tour(tmp_path, monkeypatch):
    """It runs as it stands; where a comment begins with a value, the line has that value."""
    section = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8").partition("## From Python")[2]
    (example,) = re.findall(r"^((?:    .*\n|\n)*    .*\n)", section, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    q, k, v = np.random.default_rng(0).standard_normal((3, 4, 100, 48))
    np.savez("random.npz", q=q, k=k, v=v)
    names, shown = {}, 0
    for line in textwrap.dedent(example).splitlines():
        code, _hash, comment = line.partition("  # ")
        value = comment.partition(", ")[0]
        if re.fullmatch(r"\d+|\[\]", value):
            assert eval(code, names) == eval(value), line
            shown += 1
        else:
            exec(code, names)
    assert shown == 3


def test_type_checkers_know_which_names_there_are():
    """They take every name for one of a module that has `__getattr__`."""
    tree = ast.parse((ROOT / "taylorvit" / "__init__.py").read_text(encoding="utf-8"))
    named = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    imported = {
        alias.name
        for branch in tree.body
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in branch.body
        for alias in node.names
    }
    assert imported == set(taylorvit.__all__) and "__getattr__" not in named


def test_nothing_is_loaded_before_it_is_used():
    script = "import json, sys, taylorvit; taylorvit.__version__; print(json.dumps([*sys.modules]))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=True, cwd=ROOT
    )
    ours = {name for name in json.loads(result.stdout) if name.partition(".")[0] == "taylorvit"}
    assert ours == {"taylorvit", "taylorvit.rtl"}
    assert not set(json.loads(result.stdout)) & {"amaranth", "numpy", "torch", "rich"}
