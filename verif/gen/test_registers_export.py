"""What is exported says the same as `rtl.control.registers`, read back by other tools."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from systemrdl import RDLCompiler

from taylorvit.gen.presets import load_preset
from taylorvit.gen.registers_export import (
    register_files,
    register_map,
    to_c_header,
    to_html,
    to_markdown,
    to_python,
    to_systemrdl,
)
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.description import Access
from taylorvit.simulation import compilers
from verif import ROOT

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
CONFIGURATIONS = [
    load_preset("edge-16x16"),
    AcceleratorConfig(name="wide", rows=4, columns=4, data_width=16, constant_fraction=16, max_tokens=999),
    AcceleratorConfig(name="whole", rows=4, columns=4, constant_fraction=0, mean_fraction=0),
    load_preset("vit-16x16"),
    replace(load_preset("vit-16x16"), name="uncounted", counters="none", error_count_width=0),
    replace(load_preset("vit-tiny-4x4"), name="memory", tape_source="memory", tape_memory_bytes=4096),
]
OF_BOTH = pytest.mark.parametrize("config", [CONFIGURATIONS[0], CONFIGURATIONS[-1]], ids=lambda config: config.name)
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
            assert field.is_sw_readable == (register.access not in (Access.PULSE, Access.WRITE_ONLY))
        for field, described in zip(node.fields(), register.fields):
            assert described.values in field.get_property("desc")


def compile_and_run(tmp_path, config, name, source, flags):
    """Compiles a program with the header and runs it; the program's exit status is its verdict."""
    (tmp_path / "taylorvit_registers.h").write_text(to_c_header(config))
    (tmp_path / name).write_text(source)
    compiler = [*compilers.compiler(), *flags, *WARNINGS]
    subprocess.run([*compiler, name, "-o", "check"], cwd=tmp_path, check=True, timeout=600)
    return subprocess.run([str(tmp_path / "check")], timeout=600).returncode


def c_conditions(config):
    """What must be true in C of the header's names, by the register map."""
    registers = register_map(config)
    for register in registers:
        name = f"TAYLORVIT_{register.name}"
        constant = register.access is Access.CONSTANT
        yield f"{name}_OFFSET == {register.offset}"
        yield f"{name}_{'VALUE' if constant else 'RESET'} == {register.reset}u"
        for field in register.fields:
            if field.minimum is not None:
                yield f"{name}_MIN == {field.minimum} && {name}_MAX == {field.maximum}"
            if field.name == register.name:
                continue
            yield f"{name}_{field.name}_MASK == {field.mask}u"
            getter = f"taylorvit_{register.name}_{field.name}".lower()
            if constant:
                yield f"{name}_{field.name}_VALUE == {field.reset}"
                yield f"{getter}({name}_VALUE) == {field.reset}"
            if field.width > 1:
                yield f"{getter}({~field.mask & 0xFFFFFFFF}u) == 0"
                yield f"{getter}({field.mask}u) == {-1 if field.signed else (1 << field.width) - 1}"
    for name in ("C_V", "C_D") if config.accelerator == "attention" else ("TAPE_HASH",):
        yield f"TAYLORVIT_{name}_WORDS == {len(registers.words(name))}"


@EACH
@pytest.mark.parametrize("language", ["c99", "c++17"])
def test_c_header_says_what_the_map_says(config, language, tmp_path):
    """Compiled without a warning, as C99 and as C++: the names have the map's values."""
    conditions = list(c_conditions(config))
    assert len(conditions) > 2 * len(list(register_map(config)))
    lines = ['#include "taylorvit_registers.h"', "int main(void) {"]
    lines += [f"    if (!({condition})) return {number % 200 + 1};" for number, condition in enumerate(conditions)]
    source = "\n".join([*lines, "    return 0;", "}", ""])
    name = "check.c" if language == "c99" else "check.cpp"
    flags = [f"-std={language}", "-x", "c" if language == "c99" else "c++", "-Wno-type-limits"]
    status = compile_and_run(tmp_path, config, name, source, flags)
    assert status == 0, [condition for number, condition in enumerate(conditions) if number % 200 + 1 == status]


def test_c_header_defines_each_name_once():
    names = re.findall(r"^#define (\w+)|^static inline \w+ (\w+)", to_c_header(CONFIGURATIONS[0]), re.M)
    names = [macro or function for macro, function in names]
    assert len(names) == len(set(names)) > 2 * len(list(register_map(CONFIGURATIONS[0])))


@OF_BOTH
def test_c_header_lists(config, tmp_path):
    """The lists hold every constant, event and error, and what they promise to have a name has one."""
    events = register_map(config).events
    constants = [register for register in register_map(config) if register.access is Access.CONSTANT]
    expected = {
        "CONSTANT(X)": [(register.name, register.offset, register.reset) for register in constants],
        "EVENT(X)": [(name, 1 << bit, 1 << bit) for name, (bit, _text) in events.items()],
        "ERROR(X)": [
            (name, 1 << bit, register_map(config)[f"COUNT_{name}"].offset)
            for name, (bit, _text) in events.items()
            if name != "DONE"
        ],
    }
    values = {
        "CONSTANT(X)": ("TAYLORVIT_##NAME##_OFFSET", "TAYLORVIT_##NAME##_VALUE"),
        "EVENT(X)": ("TAYLORVIT_EVENTS_##NAME##_MASK", "TAYLORVIT_INTERRUPT_ENABLE_##NAME##_MASK"),
        "ERROR(X)": ("TAYLORVIT_EVENTS_##NAME##_MASK", "TAYLORVIT_COUNT_##NAME##_OFFSET"),
    }
    for name, (first, second) in values.items():
        wanted = "".join(f'{{"{member}", {one}u, {other}u}}, ' for member, one, other in expected[name])
        source = f"""
            #include <string.h>
            #include "taylorvit_registers.h"
            struct entry {{ const char *name; uint32_t first, second; }};
            #define ENTRY(NAME) {{#NAME, {first}, {second}}},
            static const struct entry got[] = {{ TAYLORVIT_FOR_EACH_{name.replace("(X)", "(ENTRY)")} }};
            static const struct entry wanted[] = {{ {wanted} }};
            int main(void) {{
                if (sizeof got != sizeof wanted) return 1;
                for (unsigned i = 0; i < sizeof got / sizeof got[0]; i++)
                    if (strcmp(got[i].name, wanted[i].name) || got[i].first != wanted[i].first ||
                        got[i].second != wanted[i].second) return 2;
                return 0;
            }}"""
        assert compile_and_run(tmp_path, config, "lists.c", source, ["-std=c99", "-x", "c"]) == 0, name


@EACH
def test_python_module(config):
    module = {}
    exec(to_python(config), module)
    registers = register_map(config)
    assert module["OFFSETS"] == {register.name: register.offset for register in registers}
    assert module["RESETS"] == {register.name: register.reset for register in registers}
    if config.accelerator == "attention":
        assert module["RANGES"]["TOKENS"] == (1, config.max_tokens)
        assert module["RANGES"]["SHIFT_Z"] == (config.shift_z_min, config.shift_z_max)
        assert module["FIELDS"]["EVENTS"]["TLAST_LATE_V"] == (18, 1)
    else:
        assert module["RANGES"]["CLASSES"] == (1, config.max_classes)
        assert module["FIELDS"]["EVENTS"]["IMAGE_TIMEOUT"] == (18, 1)
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


@pytest.mark.parametrize(
    ("preset", "document"), [("edge-16x16", "registers.md"), ("vit-16x16", "network-registers.md")]
)
def test_documentation_is_current(preset, document):
    kept = (ROOT / "docs" / document).read_text(encoding="utf-8")
    current = to_markdown(load_preset(preset))
    assert kept == current, (
        f"run `taylorvit generate --preset {preset} -o build/{preset}` and copy "
        f"build/{preset}/registers/taylorvit_registers.md to docs/{document}"
    )


@OF_BOTH
def test_all_files(config):
    files = register_files(config)
    assert {Path(path).suffix for path in files if not path.startswith("html/")} == {".rdl", ".h", ".py", ".md"}
    assert "html/index.html" in files
