"""Verilog made ready for simulation: a vendor's multipliers (`rtl.array.multiplier`) need models of their cells."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["DSP_CELLS", "dsp_model_files", "dsp_models", "with_dsp_models"]

DSP_CELLS = Path(__file__).resolve().parent / "cells"
_FILES = {  # cell -> file with its model
    "MULT18X18D": "ecp5_dsp.v",
    "SB_MAC16": "ice40_dsp.v",
    "MULT18X18": "gowin_dsp.v",
    "MULT9X9": "gowin_dsp.v",
    "BB": "ecp5_io.v",
    "ODDRX1F": "ecp5_io.v",
}


def dsp_model_files(verilog: str) -> list[Path]:
    """The files with the models of the DSP cells that Verilog instantiates; none if it has none."""
    words = set(re.findall(r"\w+", verilog))
    return [DSP_CELLS / file for file in sorted({file for cell, file in _FILES.items() if cell in words})]


def dsp_models(verilog: str) -> str:
    """The models of the DSP cells that Verilog instantiates, as Verilog; nothing if it has none."""
    return "\n".join(file.read_text(encoding="utf-8") for file in dsp_model_files(verilog))


def with_dsp_models(verilog: str) -> str:
    """Verilog followed by `dsp_models` of it."""
    models = dsp_models(verilog)
    return f"{verilog}\n{models}" if models else verilog
