"""Figures of arrays: measured on a very small one; a tool that fails is said in one line."""

from taylorvit.__main__ import main
from taylorvit.fpga.families.ecp5 import array_figures
from taylorvit.fpga.flow.toolchain import FpgaToolError
from taylorvit.rtl.array.multiplier import FORMS


def test_multipliers_in_dsp_cells_and_in_luts(tmp_path):
    in_cells = array_figures.measure("ecp5", "ecp5", 1, rows=2, columns=2, directory=tmp_path, device="25k")
    in_luts = array_figures.measure("booth", "ecp5", 2, rows=2, columns=2, directory=tmp_path, device="25k")
    assert (in_cells["dsp"], in_luts["dsp"]) == (4 + 2, 2)  # SA-Diag has cells in both
    assert in_luts["lut"] > in_cells["lut"] > 0
    assert min(in_cells["ff"], in_luts["ff"]) > 0
    assert min(in_cells["fmax_mhz"], in_luts["fmax_mhz"]) > 50


def test_forms_shown_are_forms():
    for general, diagonal, pipeline in array_figures.FORMS_SHOWN:
        assert general in (diagonal, "booth")
        assert pipeline >= max(FORMS[general].least_pipeline, FORMS[diagonal].least_pipeline)


def test_table(monkeypatch, capsys):
    figures = {"lut": 1234, "ff": 5, "dsp": 6, "fmax_mhz": 78.9}
    monkeypatch.setattr(array_figures, "measure", lambda *_arguments, **_named: figures)
    assert main(["figures", "--rows", "4"]) == 0
    printed = capsys.readouterr().out
    assert "4 x 4 + 4 PEs" in printed
    assert printed.count("1,234") == len(array_figures.FORMS_SHOWN)


def test_failing_tool_exits_2(monkeypatch, capsys):
    def fail(*_arguments, **_named):
        raise FpgaToolError("yosys failed")

    monkeypatch.setattr(array_figures, "measure", fail)
    assert main(["figures"]) == 2
    assert capsys.readouterr().err == "taylorvit: error: yosys failed\n"


def test_size_out_of_range(capsys):
    assert main(["figures", "--rows", "1"]) == 2
    assert "--rows: must be an integer in 2..64, not '1'" in capsys.readouterr().err
