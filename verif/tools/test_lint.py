"""The generated Verilog is clean without options; lint finds what is not; waivers are those that are needed."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from functools import cache

import pytest

from taylorvit.gen.generate import top
from taylorvit.gen.presets import load_preset
from taylorvit.gen.verilog import blocks, emit
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import compilers

from . import lint
from .lint import main, read_with_yosys, verilator_warnings

GOOD = """module taylorvit (input wire clk, input wire [3:0] a, output reg [3:0] b);
    always @(posedge clk) b <= a;
endmodule
"""


def small(**fields):
    return AcceleratorConfig(**{"name": "small", "rows": 4, "columns": 4, "max_tokens": 9, "max_head_dim": 9} | fields)


# Of every form of a multiplier, deep and shallow, narrow and wide, with sizes of one.
CONFIGURATIONS = [
    load_preset("tiny-4x4"),
    small(),
    small(data_width=16, mean_fraction=0, constant_fraction=16, max_tokens=300, memory_pipeline=2, pe_pipeline=4),
    small(
        data_width=2,
        columns=1,
        max_tokens=1,
        max_head_dim=1,
        max_heads=1,
        stream_width=8,
        pe_pipeline=0,
        counter_width=8,
        input_timeout=9,
    ),
    small(data_width=5, multiplier="ecp5", pe_pipeline=3, booth_columns=1, stream_width=16, rows=6, columns=2),
    small(multiplier="ice40", memory_pipeline=1, shift_z_min=0, shift_z_max=0, divider_interval=1),
    small(multiplier="gowin", pe_pipeline=2, mean_fraction=8, constant_fraction=0),
    small(data_width=15, multiplier="booth", max_tokens=2, max_head_dim=70, stream_width=16),
    load_preset("vit-tiny-4x4"),
    # Sizes that do not divide each other, and everything of one.
    replace(
        load_preset("vit-tiny-4x4"),
        name="odd",
        rows=5,
        columns=3,
        tape_source="stream",
        tape_width=24,
        sum_width=20,
        norm_interval=64,
        norm_lanes=1,
        memory_pipeline=0,
        residual_width=8,
        left_shift_max=0,
        max_classes=1,
        mlp_tokens=1,
        image_lanes=5,
        image_banks="activations",
        kernel="taylor+softmax",
        query_block=3,
    ),
    replace(
        load_preset("vit-tiny-4x4"),
        name="memory",
        counters="none",
        error_count_width=0,
        command_queue=0,
        tape_source="memory",
        tape_memory_bytes=4096,
        tape_memory="huge",
        image_memory="huge",
        kernel_memory="distributed",
        norm_interval=16,
        memory_pipeline=2,
        pe_pipeline=3,
        residual_width=16,
        max_heads=1,
        branch_shift_max=0,
        stream_shift_max=0,
        image_lanes=4,
        kernel="softmax",
        score_width=16,
        exponential_width=4,
    ),
]
EACH = pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda config: f"{config.multiplier}-{config.name}")


@cache
def verilog_of(config):
    return emit(top(config))


@pytest.fixture
def folder(tmp_path):
    def with_verilog(text):
        (tmp_path / "taylorvit.v").write_text(text, encoding="utf-8")
        return tmp_path

    return with_verilog


def test_small_preset_passes(capsys):
    assert main(["tiny-4x4"]) == 0
    assert "accepts" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--lint-only", "--cc"])
def test_verilator_takes_it_with_all_warnings_as_errors(option, folder):
    directory = folder(verilog_of(CONFIGURATIONS[0]))
    command = [compilers.verilator(), option, "-Wall", "taylorvit.v"]
    result = subprocess.run(
        command, cwd=directory, env=compilers.verilator_environment(), capture_output=True, text=True, timeout=600
    )
    assert (result.returncode, result.stderr) == (0, "")


@EACH
def test_configuration_is_clean_and_each_waiver_waives_something(config, folder):
    verilog = verilog_of(config)
    assert verilator_warnings(folder(verilog)) == []
    lines = verilog.splitlines()
    without_waivers = folder(verilog.replace("// verilator lint", "// not lint"))
    found = [(warning.rule, int(warning.place.split(":")[1])) for warning in verilator_warnings(without_waivers)]
    started = {}
    for number, line in enumerate(lines, 1):
        if match := re.fullmatch(r" *// verilator lint_off (\w+)", line):
            assert match.group(1) not in started
            assert re.fullmatch(r" *// [A-Z].*\.", lines[number - 2]), "the reason must be above"
            started[match.group(1)] = number
        elif match := re.fullmatch(r" *// verilator lint_on (\w+)", line):
            rule, first = match.group(1), started.pop(match.group(1))
            waived = [where for what, where in found if what == rule and first < where < number]
            assert waived, f"nothing to waive from line {first} on: {rule}"
            found = [warning for warning in found if warning not in {(rule, where) for where in waived}]
    assert not started and not found


def test_every_waiver_of_every_block_occurs():
    assert {config.multiplier for config in CONFIGURATIONS} == set(FORMS)
    verilog = "".join(map(verilog_of, CONFIGURATIONS))
    kinds = {type(block) for config in CONFIGURATIONS for block in blocks(top(config))}
    reasons = {reason for kind in kinds for reason in kind.waivers.values()}
    assert len(reasons) > 10
    assert {reason for reason in reasons if f"// {reason}\n" not in verilog} == set()


def test_warnings_are_found(folder):
    assert verilator_warnings(folder(GOOD)) == []
    found = verilator_warnings(folder(GOOD.replace("output reg [3:0]", "output reg [2:0]")))
    assert ("WIDTHTRUNC", "taylorvit.v:2:29") in {(warning.rule, warning.place) for warning in found}


def test_what_a_block_does_not_waive_is_not_waived(folder, monkeypatch):
    monkeypatch.setattr(Accelerator, "waivers", {})
    found = verilator_warnings(folder(emit(Accelerator(CONFIGURATIONS[0]))))
    assert [warning.rule for warning in found] == ["SYMRSVDWORD"]


def test_yosys_complains_of_several_drivers_and_of_missing_modules(folder):
    assert read_with_yosys(folder(GOOD)) == ""
    assert "multiple conflicting drivers" in read_with_yosys(folder(GOOD.replace("end", "assign b = a; end", 1)))
    assert "not part of the design" in read_with_yosys(folder(GOOD.replace("always", "adder sum (); always")))


def test_yosys_reads_large_memories_that_are_cleared_in_part(folder):
    memory = "reg [3:0] memory [0:999999]; integer i; initial for (i = 0; i < 1000000; i = i + 1) memory[i] = 4'd0;"
    verilog = GOOD.replace("always @(posedge clk) b <= a", f"{memory}\nalways @(posedge clk) b <= memory[a]")
    assert read_with_yosys(folder(verilog)) == ""
    assert "memory [0:999999]" in folder(verilog).joinpath("taylorvit_yosys.v").read_text(encoding="utf-8")


def test_problems_are_shown(monkeypatch, folder, capsys):
    monkeypatch.setattr(
        lint, "write_verilog", lambda _preset: folder(GOOD.replace("b <= a", "b <= a + 5'd1")) / "taylorvit.v"
    )
    assert main(["tiny-4x4"]) == 1
    assert "tiny-4x4: WIDTHTRUNC at taylorvit.v:2:" in capsys.readouterr().out


def test_unknown_preset(capsys):
    with pytest.raises(SystemExit) as error:
        main(["huge"])
    assert error.value.code == 2
    assert "preset must be one of tiny-4x4" in capsys.readouterr().err
