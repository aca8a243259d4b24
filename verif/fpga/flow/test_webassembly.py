"""Tools that their first run compiles: once, by one process, and not among what they say."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from taylorvit.fpga.families import FAMILIES
from taylorvit.fpga.flow import webassembly
from taylorvit.fpga.flow.toolchain import FpgaToolError, Tool, find_toolchain, get_ready, run_tool
from verif import ROOT

#: Compiles itself into the cache as YoWASP's tools do, in a file that is there before it is whole.
COMPILED_TOOL = """
import os, pathlib, sys, time
cache = pathlib.Path(os.environ["YOWASP_CACHE_DIR"]) / "tool"
if not cache.exists() or cache.read_text() != "whole":
    print("Preparing to run tool. This might take a while...", file=sys.stderr)
    cache.parent.mkdir(parents=True, exist_ok=True)
    with open(cache.with_name("compiled"), "a") as log:
        log.write(".")
    cache.write_text("half")
    time.sleep(0.5)
    cache.write_text("whole")
print(sys.argv[1:], file=sys.stderr)
"""
TOOL = Tool("yosys", (sys.executable, "-c", COMPILED_TOOL), "0.60", "wheel", is_compiled=True)


@pytest.fixture(autouse=True)
def cold_cache(tmp_path, monkeypatch):
    cache = tmp_path / "not" / "yet" / "there"
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(cache))
    return cache


def test_compiled_apart_from_the_run(tmp_path, caplog):
    caplog.set_level("INFO", "taylorvit")
    for _run in range(2):
        run_tool(TOOL, ["-q"], directory=tmp_path, log=tmp_path / "log")
        assert (tmp_path / "log").read_text() == "['-q']\n"
    first, last = caplog.messages
    assert first == "compiling yosys for this machine, once ..."
    assert last.startswith("compiled yosys in ") and last.endswith(" s")


def test_tool_that_is_not_compiled_runs_once(tmp_path, caplog):
    caplog.set_level("INFO", "taylorvit")
    run_tool(replace(TOOL, is_compiled=False), ["-q"], directory=tmp_path, log=tmp_path / "log")
    assert (tmp_path / "log").read_text().startswith("Preparing to run")
    assert caplog.messages == []


def test_processes_at_once_compile_once(tmp_path, cold_cache):
    program = (
        "import logging, pathlib; from verif.fpga.flow.test_webassembly import TOOL, run_tool; "
        "logging.basicConfig(level='INFO', format='%(message)s'); "
        f"folder = pathlib.Path({str(tmp_path)!r}); "
        "run_tool(TOOL, ['-q'], directory=folder, log=folder / NAME)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program.replace("NAME", repr(name))], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    said = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(text.count("\n") for text in said) == [0, 2]
    assert (cold_cache / "compiled").read_text() == "."
    assert [(tmp_path / name).read_text() for name in "ab"] == ["['-q']\n"] * 2


def test_one_cache_for_all_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YOWASP_CACHE_DIR", "cache")
    (tmp_path / "build").mkdir()
    run_tool(TOOL, [], directory=tmp_path / "build", log=tmp_path / "log")
    assert (tmp_path / "cache" / "compiled").read_text() == "."
    assert os.listdir(tmp_path / "build") == []


def test_tool_of_a_wheel(tmp_path, capfd, caplog):
    """The quickest to be compiled. It knows no --version."""
    caplog.set_level("INFO", "taylorvit")
    pack = find_toolchain(FAMILIES["ice40"], path="").pack
    get_ready(pack)
    assert "compiling icepack for this machine, once ..." in caplog.messages
    (tmp_path / "empty.asc").touch()
    with pytest.raises(FpgaToolError, match="failed with exit status"):
        run_tool(pack, ["empty.asc", "out.bin"], directory=tmp_path, log=tmp_path / "log")
    assert "Preparing" not in (tmp_path / "log").read_text()
    assert capfd.readouterr().err == ""


def test_cache_that_cannot_be_written_to(tmp_path, cold_cache):
    cold_cache.parent.mkdir(parents=True)
    cold_cache.touch()
    pack = find_toolchain(FAMILIES["ice40"], path="").pack
    with pytest.raises(FpgaToolError, match=f"(?s)failed with exit status 1; .*Error: .*{cold_cache}"):
        run_tool(pack, ["empty.asc", "out.bin"], directory=tmp_path, log=tmp_path / "log")


def test_interruption_does_not_wait_for_the_compilation(monkeypatch):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(webassembly._log, "info", interrupted)
    slow = ("sh", "-c", "echo Preparing to run it >&2; exec sleep 100 >&2")
    with pytest.raises(KeyboardInterrupt):
        webassembly.make_ready("slow", slow)
