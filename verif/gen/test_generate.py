"""The generated folder: complete, the same everywhere, rewritten only where its content changes."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from taylorvit.boundary.writing import FileError
from taylorvit.gen.generate import generate, port_table, top
from taylorvit.gen.presets import load_metadata, load_preset
from taylorvit.gen.verilog import blocks
from taylorvit.golden.metadata import load_accelerator
from taylorvit.rtl import __version__
from taylorvit.rtl.config import AcceleratorConfig
from verif import ROOT

SMALL = AcceleratorConfig(
    name="small", rows=2, columns=2, data_width=4, max_tokens=5, max_head_dim=3, max_heads=3, stream_width=8
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated") / "small"
    assert all(generate(SMALL, folder).values())
    return folder


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files(folder):
    names = {name for name in content(folder) if not name.startswith("registers/html/")}
    assert names == {
        "taylorvit.v", "taylorvit.f", "taylorvit.core", "metadata.json", "registers/taylorvit_registers.rdl",
        "registers/taylorvit_registers.h", "registers/taylorvit_registers.py", "registers/taylorvit_registers.md",
    }  # fmt: skip
    assert (folder / "registers" / "html" / "index.html").is_file()


def test_a_folder_in_the_way_is_found_before_anything_is_written(tmp_path):
    for blocked in ("taylorvit.f/", "registers/html"):
        folder = tmp_path / blocked.replace("/", "-")
        (folder / blocked).parent.mkdir(parents=True)
        (folder / blocked).mkdir() if blocked.endswith("/") else (folder / blocked).touch()
        with pytest.raises(FileError, match="^output must be a f"):
            generate(SMALL, folder)
        assert not (folder / "taylorvit.v").exists()


def test_metadata(folder):
    metadata = json.loads((folder / "metadata.json").read_text())
    verilog = (folder / "taylorvit.v").read_bytes()
    assert metadata["accelerator"] == "attention"
    assert metadata["generator"] == {"name": "taylorvit", "version": __version__}
    assert AcceleratorConfig.from_mapping(metadata["configuration"]) == SMALL
    assert metadata["files"]["taylorvit.v"] == {"bytes": len(verilog), "sha256": hashlib.sha256(verilog).hexdigest()}
    assert metadata["tools"].keys() == {"amaranth", "peakrdl-html", "systemrdl-compiler"}
    assert metadata["derived"]["processing_elements"] == 2 * 2 + 2
    accelerator = top(SMALL)
    assert metadata["latencies"] == {
        block.module_name: block.latency for block in blocks(accelerator) if hasattr(block, "latency")
    }
    assert metadata["latencies"]["pe"] == 3


def test_ports_of_metadata_are_those_of_the_verilog(folder):
    metadata = json.loads((folder / "metadata.json").read_text())
    module = re.search(r"^module taylorvit \((.*?)^\);", (folder / "taylorvit.v").read_text(), re.M | re.S).group(1)
    pattern = r"(input|output) +(?:wire|reg) *(?: signed)?(?: \[(\d+):0\])? (\w+)"
    written = [
        {"name": name, "direction": direction, "width": int(high or 0) + 1}
        for direction, high, name in re.findall(pattern, module)
    ]
    ports = [{key: port[key] for key in ("name", "direction", "width")} for port in metadata["ports"]]
    assert ports == written
    assert [port["name"] for port in ports][:2] == ["clk", "rst"]
    assert len(ports) == len(port_table(top(SMALL))) > 30


def test_file_list_and_core_name_the_verilog(folder):
    assert (folder / "taylorvit.f").read_text() == "taylorvit.v\n"
    core = (folder / "taylorvit.core").read_text()
    assert core.startswith(f"CAPI=2:\nname: taylorvit:accelerator:small:{__version__}\n")
    assert "      - taylorvit.v\n    file_type: verilogSource\n" in core and "toplevel: taylorvit\n" in core


def test_same_bytes_elsewhere(folder, tmp_path):
    generate(SMALL, tmp_path / "another place")
    assert content(tmp_path / "another place") == content(folder)


@pytest.mark.slow
def test_same_bytes_without_docstrings(folder, tmp_path):
    """`python -OO` drops docstrings and assertions."""
    (tmp_path / "small.toml").write_text(
        "".join(f"{key} = {json.dumps(value)}\n" for key, value in SMALL.to_mapping().items() if key != "name")
    )
    command = [sys.executable, "-OO", "-m", "taylorvit", "generate", "--config", tmp_path / "small.toml", "-o",
               tmp_path / "optimized"]  # fmt: skip
    subprocess.run(command, check=True, timeout=600, stdout=subprocess.DEVNULL)
    assert content(tmp_path / "optimized") == content(folder)


def test_no_trace_of_the_machine(folder, tmp_path):
    home = str(Path.home())
    for name, data in content(folder).items():
        for trace in (str(folder), str(tmp_path.parent), f"{home}/", str(ROOT)):
            assert trace.encode() not in data, name


@pytest.mark.slow
def test_only_changed_files_are_written(tmp_path):
    generate(SMALL, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert not any(generate(SMALL, tmp_path).values())
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times

    (tmp_path / "taylorvit.f").write_text("lost")
    changed = generate(SMALL, tmp_path)
    assert [path.name for path, is_new in changed.items() if is_new] == ["taylorvit.f"]
    assert (tmp_path / "taylorvit.f").read_text() == "taylorvit.v\n"


@pytest.mark.slow
def test_pages_of_an_earlier_configuration_go(tmp_path):
    generate(SMALL, tmp_path)
    stale = tmp_path / "registers" / "html" / "content" / "stale.html"
    stale.write_text("old")
    changed = generate(replace(SMALL, name="other"), tmp_path)
    assert not stale.exists()
    assert changed[tmp_path / "metadata.json"] and not changed[tmp_path / "taylorvit.f"]


@pytest.mark.slow
def test_paper_sized_verilog_stays_small(tmp_path):
    """64 x 64 PEs, each block once: less than a mebibyte."""
    generate(load_preset("paper-64x64"), tmp_path)
    assert (tmp_path / "taylorvit.v").stat().st_size < 1 << 20
    assert (tmp_path / "taylorvit.v").read_text().count("\nmodule pe (") == 1


def test_makefile_target_writes_the_same(folder):
    """`make generate-verilog` names the same command line as the documentation; it is only shown here."""
    shown = subprocess.run(
        ["make", "-n", "generate-verilog", "PRESET=tiny-4x4"], capture_output=True, text=True, cwd=ROOT, timeout=600
    )
    assert "taylorvit generate --preset tiny-4x4 -o build/tiny-4x4" in shown.stdout


@pytest.mark.slow
def test_network_accelerator(tmp_path):
    """The same files, with the configuration that a tape and the golden model need."""
    config = load_preset("vit-tiny-4x4")
    generate(replace(config, prefix="left_"), tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"left_taylorvit.v", "left_taylorvit.core", "left_metadata.json",
            "registers/left_taylorvit_registers.h"} < names  # fmt: skip
    metadata = json.loads((tmp_path / "left_metadata.json").read_text())
    assert (metadata["accelerator"], metadata["top"]) == ("network", "left_taylorvit")
    assert load_metadata(tmp_path / "left_metadata.json") == replace(config, prefix="left_")
    assert metadata["derived"]["tape_hash"] == f"{config.tape_hash:#018x}"
    assert metadata["derived"]["buffer_bytes"] == config.buffer_bytes
    assert {port["name"] for port in metadata["ports"]} > {"m_axi_tape_araddr", "s_axis_image_tdata", "interrupt"}
    core = (tmp_path / "left_taylorvit.core").read_text()
    assert "description: Vision Transformer accelerator, Taylor attention, configuration vit-tiny-4x4\n" in core
    accelerator = load_accelerator(tmp_path / "left_metadata.json")
    assert accelerator.number_format.residual_width == config.residual_width
    assert accelerator.number_format.c_d_width == config.attention.c_d_width


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["generate-verilog", "PRESET=huge"], "PRESET must be one of .*vit-64x64.*, not 'huge'"),
        (["generate-verilog", "PRESET=base"], "PRESET must be one of .*, not 'base'"),
        (["bitstream", "BOARD=zedboard"], "BOARD must be one of .*ulx3s-85f, or a TOML file, not 'zedboard'"),
        (["bitstreams", "BOARDS=icebreaker zedboard"], "BOARD must be one of .*, not 'zedboard'"),
    ],
)
def test_make_refuses_names_before_it_installs(tmp_path, arguments, text):
    for name in ("Makefile", "gen", "fpga"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = subprocess.run(["make", *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert done.returncode and not (tmp_path / ".venv").exists()
    assert re.search(f"^make: {text}$", done.stderr, re.MULTILINE)
