"""Accelerators with different prefixes are parts of one design, in every tool, and of one program."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.gen.generate import generate, port_table
from taylorvit.gen.registers_export import to_c_header
from taylorvit.gen.verilog import emit
from taylorvit.jobs import judge, read_operands
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.config import AcceleratorConfig, ConfigError
from taylorvit.simulation import compilers
from taylorvit.simulation.simulate import simulate
from verif.tools.yosys import run_yosys

LEFT = AcceleratorConfig(name="small", prefix="left_", rows=2, columns=2, data_width=4, max_tokens=5, max_head_dim=3,
                         max_heads=3, stream_width=8)  # fmt: skip
RIGHT = replace(LEFT, prefix="right_", columns=4, max_tokens=9, data_width=6, stream_width=16)


def ports(config):
    """Ports of an accelerator: name -> (direction, bits)."""
    return {name: (direction, width) for name, direction, width, _signed in port_table(Accelerator(config))}


def pair():
    """A design with both, each with ports of its own."""
    head, body = [], []
    for config in (LEFT, RIGHT):
        for name, (direction, bits) in ports(config).items():
            head.append(f"    {direction} wire [{bits - 1}:0] {config.prefix}{name}")
        pins = ", ".join(f".{name}({config.prefix}{name})" for name in ports(config))
        body.append(f"    {config.prefix}taylorvit {config.prefix}instance ({pins});")
    return "\n".join(["module pair (", ",\n".join(head), ");", *body, "endmodule", ""])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Everything generated for both, in one folder, and the design that has them."""
    folder = tmp_path_factory.mktemp("pair")
    first, second = generate(LEFT, folder), generate(RIGHT, folder)
    assert all(first.values()) and all(second.values()) and not set(first) & set(second)
    (folder / "pair.v").write_text(pair())
    return folder


FILES = ["pair.v", "left_taylorvit.v", "right_taylorvit.v"]


def test_names(folder):
    names = {path.name for path in folder.iterdir() if path.is_file()} - {"pair.v"}
    assert names == {
        f"{prefix}{name}"
        for prefix in ("left_", "right_")
        for name in ("taylorvit.v", "taylorvit.f", "taylorvit.core", "metadata.json")
    }
    modules = {
        prefix: set(re.findall(r"^module (\w+)", (folder / f"{prefix}taylorvit.v").read_text(), re.MULTILINE))
        for prefix in ("left_", "right_")
    }
    assert all(name.startswith(prefix) for prefix, found in modules.items() for name in found)
    assert len(modules["left_"]) > 20
    plain = {name.removeprefix("left_") for name in modules["left_"]}
    assert plain == set(re.findall(r"^module (\w+)", emit(Accelerator(replace(LEFT, prefix=""))), re.MULTILINE))
    metadata = json.loads((folder / "left_metadata.json").read_text())
    assert metadata["top"] == "left_taylorvit" and "left_pe" in metadata["latencies"]
    assert metadata["latencies"].keys() < modules["left_"] and metadata["files"].keys() == {"left_taylorvit.v"}
    core = (folder / "left_taylorvit.core").read_text()
    assert "name: taylorvit:accelerator:left_small:" in core and "toplevel: left_taylorvit\n" in core


def test_the_text_is_otherwise_the_same():
    named = emit(Accelerator(LEFT)).replace("prefix = left_\n", "prefix = \n").replace("left_", "")
    plain = emit(Accelerator(replace(LEFT, prefix="")))
    assert named.split() == plain.split()  # lines may break elsewhere


def test_verilator_takes_both(folder):
    command = [compilers.verilator(), "--lint-only", "-Wall", "--top-module", "pair", *FILES]
    compilers.run_tool(command, cwd=folder, environment=compilers.verilator_environment())


def test_yosys_takes_both(folder):
    script = f"read_verilog {' '.join(FILES)}; hierarchy -check -top pair; proc; check -assert"
    assert run_yosys(folder, "-q", "-p", script) == (True, "")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
def test_icarus_takes_both(folder):
    command = ["iverilog", "-g2005", "-s", "pair", "-o", "pair.vvp", *FILES]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_headers_in_one_program(folder):
    (folder / "taylorvit_registers.h").write_text(to_c_header(replace(LEFT, prefix="")))  # for the driver
    program = folder / "both.c"
    program.write_text("""
        #include "taylorvit_registers.h"
        #include "registers/left_taylorvit_registers.h"
        #include "registers/right_taylorvit_registers.h"
        int main(void)
        {
            return LEFT_TAYLORVIT_ARRAY_SIZE_COLUMNS_VALUE == TAYLORVIT_ARRAY_SIZE_COLUMNS_VALUE
                && RIGHT_TAYLORVIT_ARRAY_SIZE_COLUMNS_VALUE == 4u
                && left_taylorvit_array_size_rows(LEFT_TAYLORVIT_ARRAY_SIZE_VALUE)
                == right_taylorvit_array_size_rows(RIGHT_TAYLORVIT_ARRAY_SIZE_VALUE) ? 0 : 1;
        }""")
    options = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*compilers.compiler("CC"), *options, "both.c", "-o", "both"], cwd=folder, check=True)
    assert subprocess.run([folder / "both"]).returncode == 0


def test_option(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text("rows = 2\ncolumns = 2\nmax_tokens = 5\nmax_head_dim = 3\nstream_width = 8\n")
    assert main(["generate", "--config", "small.toml", "--prefix", "left_"]) == 0
    assert "build/left_small/left_taylorvit.v" in capsys.readouterr().out
    assert main(["generate", "--config", "small.toml", "--prefix", "1_"]) == 2
    assert "prefix must be empty, or begin with a small letter" in capsys.readouterr().err


@pytest.mark.parametrize("prefix", ["left", "_", "1_", "Left_", "a b_", "é_", "a" * 32 + "_", "a_\n", None, 3])
def test_what_is_no_prefix(prefix):
    with pytest.raises(ConfigError, match="^prefix must be "):
        replace(LEFT, prefix=prefix)


@pytest.mark.slow
def test_an_accelerator_with_a_prefix_computes(tmp_path):
    q, k, v = np.random.default_rng(0).standard_normal((3, 2, 5, 3))
    np.savez(tmp_path / "qkv.npz", q=q, k=k, v=v)
    operands = read_operands(tmp_path / "qkv.npz", LEFT)
    assert judge(simulate(LEFT, operands.job), operands, LEFT).mismatches == []
