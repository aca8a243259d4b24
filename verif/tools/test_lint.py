"""Lint finds what is wrong, and waives only what its file names."""

from __future__ import annotations

import pytest

from verif import lint
from verif.lint import WAIVERS, Waiver, Warning, main, read_with_yosys, verilator_warnings, waivers, write_verilog

GOOD = """module taylorvit (input wire clk, input wire [3:0] a, output reg [3:0] b);
    always @(posedge clk) b <= a;
endmodule
"""


@pytest.fixture
def folder(tmp_path):
    def with_verilog(text):
        (tmp_path / "taylorvit.v").write_text(text, encoding="utf-8")
        return tmp_path

    return with_verilog


def test_small_preset_passes(capsys):
    assert main(["tiny-4x4"]) == 0
    assert "accepts" in capsys.readouterr().out


def test_every_waiver_is_needed_and_means_to_verilator_what_it_means_here():
    allowed = waivers(WAIVERS.read_text(encoding="utf-8"))
    needed = set()
    for preset in ("tiny-4x4", "edge-16x8"):
        directory = write_verilog(preset)
        found = verilator_warnings(directory)
        needed |= {waiver for waiver in allowed for warning in found if waiver.covers(warning)}
        left = [warning for warning in found if not any(waiver.covers(warning) for waiver in allowed)]
        assert left == verilator_warnings(directory, WAIVERS)
    assert set(allowed) == needed


def test_warnings_are_found(folder):
    assert verilator_warnings(folder(GOOD)) == []
    narrow = GOOD.replace("output reg [3:0]", "output reg [2:0]")
    found = verilator_warnings(folder(narrow))
    assert ("WIDTHTRUNC", "taylorvit.v:2:29") in {(warning.rule, warning.place) for warning in found}
    assert verilator_warnings(folder(narrow), WAIVERS) == found


def test_yosys_complains_of_several_drivers_and_of_missing_modules(folder):
    assert read_with_yosys(folder(GOOD)) == ""
    assert "multiple conflicting drivers" in read_with_yosys(folder(GOOD.replace("end", "assign b = a; end", 1)))
    assert "not part of the design" in read_with_yosys(folder(GOOD.replace("always", "adder sum (); always")))


def test_problems_are_shown(monkeypatch, folder, capsys):
    monkeypatch.setattr(lint, "write_verilog", lambda _preset: folder(GOOD.replace("b <= a", "b <= a + 5'd1")))
    assert main(["tiny-4x4"]) == 1
    assert "tiny-4x4: WIDTHTRUNC at taylorvit.v:2:" in capsys.readouterr().out


@pytest.mark.parametrize("line", [
    "lint_off -rule WIDTHTRUNC",
    'lint_off -rule WIDTHTRUNC -file "*taylorvit.v"',
    'lint_off -rule WIDTHTRUNC -file "*taylorvit.v" -match "*"',
    'lint_off -file "*taylorvit.v" -match "Operator*"',
])  # fmt: skip
def test_waiver_must_name_rule_and_message(line):
    with pytest.raises(ValueError, match='line must be lint_off -rule RULE -file "FILE" -match "TEXT", not '):
        waivers(line)


def test_waiver_covers_by_rule_and_message():
    waiver = Waiver("UNUSEDSIGNAL", "Bits of signal are not used: 'a*'[1:0]*")
    assert waiver.covers(Warning("UNUSEDSIGNAL", "x.v:1:1", "Bits of signal are not used: 'addr'[1:0]"))
    assert not waiver.covers(Warning("UNUSEDSIGNAL", "x.v:1:1", "Bits of signal are not used: 'addr'[1]"))
    assert not waiver.covers(Warning("UNDRIVEN", "x.v:1:1", "Bits of signal are not used: 'addr'[1:0]"))


def test_unknown_preset(capsys):
    with pytest.raises(SystemExit) as error:
        main(["huge"])
    assert error.value.code == 2
    assert "preset must be one of tiny-4x4" in capsys.readouterr().err
