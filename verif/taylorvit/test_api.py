"""The names at the top of the package: loaded when they are used, and listed."""

import importlib
import json
import subprocess
import sys

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


def test_nothing_is_loaded_before_it_is_used():
    script = "import json, sys, taylorvit; taylorvit.__version__; print(json.dumps([*sys.modules]))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True,
                            cwd=ROOT)  # fmt: skip
    ours = {name for name in json.loads(result.stdout) if name.partition(".")[0] == "taylorvit"}
    assert ours == {"taylorvit", "taylorvit.rtl"}
    assert not set(json.loads(result.stdout)) & {"amaranth", "numpy", "torch", "rich"}
