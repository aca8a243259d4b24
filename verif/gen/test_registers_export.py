"""What is exported says the same as `rtl.registers`, read back by other tools."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from systemrdl import RDLCompiler

from gen.presets import load_preset
from gen.registers_export import (
    register_files,
    to_c_header,
    to_html,
    to_markdown,
    to_python,
    to_systemrdl,
)
from rtl.config import AcceleratorConfig
from rtl.registers import Access, register_map

CONFIGURATIONS = [
    load_preset("edge-16x16"),
    AcceleratorConfig(name="wide", rows=4, columns=4, data_width=16, constant_fraction=16, max_tokens=999),
]
EACH = pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda config: config.name)


@EACH
def test_systemrdl_as_its_compiler_reads_it(config, tmp_path):
    path = tmp_path / "registers.rdl"
    path.write_text(to_systemrdl(config))
    compiler = RDLCompiler()
    compiler.compile_file(str(path))
    nodes = list(compiler.elaborate().top.registers())
    expected = list(register_map(config))
    assert [(node.inst_name, node.address_offset) for node in nodes] == [(r.name, r.offset) for r in expected]
    for node, register in zip(nodes, expected):
        assert [(field.inst_name, field.low, field.high) for field in node.fields()] == [
            (field.name, field.low, field.high) for field in register.fields
        ]
        assert sum(field.get_property("reset") << field.low for field in node.fields()) == register.reset
        for field in node.fields():
            assert field.is_sw_writable == register.access.writable
            assert field.is_sw_readable == (register.access is not Access.PULSE)
        for field, described in zip(node.fields(), register.fields):
            assert described.values in field.get_property("desc")


@EACH
def test_c_header(config):
    header = to_c_header(config)
    for register in register_map(config):
        for field in register.fields:
            name = f"TAYLORVIT__{register.name}__{field.name}"
            value = (field.reset << field.low & field.mask) >> field.low
            assert f"#define {name}_bm {field.mask:#x}\n" in header
            assert f"#define {name}_bp {field.low}\n" in header
            assert f"#define {name}_reset {value:#x}\n" in header


@pytest.mark.parametrize("compiler", ["c++"])
def test_c_header_lays_out_the_registers(compiler, tmp_path):
    """A C++ compiler, as the simulator needs one, agrees about every offset."""
    config = CONFIGURATIONS[0]
    (tmp_path / "taylorvit_registers.h").write_text(to_c_header(config))
    checks = [f"static_assert(offsetof(taylorvit_t, {register.name}) == {register.offset}, \"\");"
              for register in register_map(config)]  # fmt: skip
    source = tmp_path / "check.cpp"
    source.write_text("\n".join(["#include <cstddef>", '#include "taylorvit_registers.h"', *checks, ""]))
    command = [shutil.which(compiler) or compiler, "-std=c++17", "-fsyntax-only", source.name]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)


@EACH
def test_python_module(config):
    module = {}
    exec(to_python(config), module)
    registers = register_map(config)
    assert module["OFFSETS"] == {register.name: register.offset for register in registers}
    assert module["RESETS"] == {register.name: register.reset for register in registers}
    assert module["RANGES"]["TOKENS"] == (1, config.max_tokens)
    assert module["RANGES"]["SHIFT_Z"] == (config.shift_z_min, config.shift_z_max)
    assert module["FIELDS"]["EVENTS"]["TLAST_LATE_V"] == (18, 1)
    assert module["FIELDS"].keys() == module["OFFSETS"].keys()


@EACH
def test_html_pages_name_every_register_and_hold_no_time(config):
    pages = to_html(config)
    assert pages == to_html(config)
    index = pages["index.html"].decode()
    assert "https://cdn" not in index
    data = b"".join(content for path, content in pages.items() if path.endswith(".json")).decode()
    for register in register_map(config):
        assert f'"{register.name}"' in data
    versions = set(re.findall(r"(?:BUILD_TS = |\?ts=)(\d+)", index))
    assert len(versions) == 1


def test_documentation_is_current():
    kept = (Path(__file__).resolve().parents[2] / "docs" / "registers.md").read_text(encoding="utf-8")
    current = to_markdown(load_preset("edge-16x16"))
    assert kept == current, "run `python -m gen generate --preset edge-16x16 -o build/edge-16x16` and copy " \
                            "build/edge-16x16/registers/taylorvit_registers.md to docs/registers.md"  # fmt: skip


def test_all_files():
    files = register_files(CONFIGURATIONS[0])
    assert {Path(path).suffix for path in files if not path.startswith("html/")} == {".rdl", ".h", ".py", ".md"}
    assert "html/index.html" in files
