"""The cost of each form of a PE's multiplier: systolic arrays alone, placed and routed.

The widths are those of the presets. An array alone is placed out of context, without pins and without other logic that
competes for sites and wires: in a whole design it is slower. The figures are there to compare the forms, for which
arrays of a few rows suffice.
"""

import json
import tempfile
from pathlib import Path

from rich.table import Table

from taylorvit.fpga.flow.floorplan import critical_path
from taylorvit.fpga.flow.toolchain import find_toolchain, run_tool
from taylorvit.gen.presets import load_preset, of_kind
from taylorvit.gen.verilog import emit
from taylorvit.rtl.array.systolic_array import SystolicArray
from taylorvit.rtl.config import AcceleratorConfig

from .family import ECP5

__all__ = ["FORMS_SHOWN", "figures_table", "measure"]

#: Multipliers of SA-General, of SA-Diag, and pe_pipeline, for each row of the table.
FORMS_SHOWN = (
    ("inferred", "inferred", 1),
    ("inferred", "inferred", 2),
    ("ecp5", "ecp5", 1),
    ("ecp5", "ecp5", 2),
    ("ecp5", "ecp5", 3),
    ("booth", "ecp5", 2),
    ("booth", "ecp5", 3),
)


def measure(general, diagonal, pipeline, *, rows, columns, directory, device="85k", speed="6"):
    """Places and routes an array.

    Args:
        general (str): form of the multipliers of SA-General: `diagonal`, or "booth".
        diagonal (str): form of the multipliers of SA-Diag.
        pipeline (int): `pe_pipeline`.
        rows (int): rows of both, at least 2.
        columns (int): columns of SA-General, at least 1.
        directory (Path): the folder for the files of the tools.
        device (str): size of the ECP5, in nextpnr's words.
        speed (str): its speed grade.

    Returns:
        dict[str, float]: "lut", "ff", "dsp", "fmax_mhz".

    Raises:
        FpgaToolError: a tool is missing or fails.
    """
    config = of_kind(load_preset("edge-16x8"), AcceleratorConfig, "figures")
    array = SystolicArray(
        rows=rows,
        columns=columns,
        streamed_width=config.streamed_width,
        stationary_width=config.data_width,
        sum_width=config.partial_sum_width,
        diagonal_width=config.k_hat_sum_width,
        diagonal_sum_width=config.diagonal_sum_width,
        pipeline=pipeline,
        multiplier=diagonal,
        booth_columns=0 if general == diagonal else columns,
    )
    (directory / "array.v").write_text(emit(array), encoding="utf-8")
    tools = find_toolchain(ECP5)
    script = (  # by way of RTLIL, as in `fpga.flow.build`
        "read_verilog array.v; write_rtlil array.il; design -reset; read_rtlil array.il; "
        f"synth_ecp5 -top {array.module_name} -json netlist.json"
    )
    run_tool(tools.yosys, ["-q", "-p", script], directory=directory, log=directory / "yosys.log")
    options = f"--{device} --package CABGA381 --speed {speed} --out-of-context --json netlist.json --report report.json"
    run_tool(
        tools.nextpnr,
        [*options.split(), "--freq", "300", "--timing-allow-fail", "--quiet"],
        directory=directory,
        log=directory / "nextpnr.log",
    )
    report = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    delay, _tiles = critical_path(report)
    used = {kind: report["utilization"][ECP5.fabric.reported_as[kind]]["used"] for kind in ("lut", "ff", "dsp")}
    return used | {"fmax_mhz": round(1000 / delay, 1)}


def figures_table(rows, columns, *, progress=lambda text: None):
    """The figures of all `FORMS_SHOWN`.

    Args:
        rows (int): of SA-General and SA-Diag.
        columns (int): of SA-General.
        progress (Callable): is told in a line what is placed and routed.

    Returns:
        A table of rich's.

    Raises:
        FpgaToolError: a tool is missing or fails.
    """
    table = Table(title=f"{rows} x {columns} + {rows} PEs, ECP5-85, grade 6")
    for heading in ("SA-General", "SA-Diag", "pe_pipeline", "LUT", "FF", "DSP", "MHz"):
        table.add_column(heading, justify="left" if heading.startswith("SA") else "right")
    for general, diagonal, pipeline in FORMS_SHOWN:
        progress(f"placing and routing {general} and {diagonal}, pe_pipeline {pipeline}")
        with tempfile.TemporaryDirectory() as directory:
            figures = measure(general, diagonal, pipeline, rows=rows, columns=columns, directory=Path(directory))
        table.add_row(general, diagonal, str(pipeline), *(f"{value:,}" for value in figures.values()))
    return table
