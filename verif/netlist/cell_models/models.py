"""`CellModels`: the cells of one FPGA family in simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taylorvit.fpga.families import Family
from verif.netlist.logic import Inline
from verif.netlist.netlist import PinRule

__all__ = ["HERE", "CellModels"]

#: Where models of cells are that no RTL instantiates; `taylorvit.simulation.dsp_cells` has the others.
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, eq=False)
class CellModels:
    """The cells of one FPGA family: models of each, and the rule for its pins.

    Args:
        family: the family.
        part: a device for designs without a board, as in a board's file.
        sources: Verilog files with the models.
        rule: resolves the free pins of a cell.
        inlined: types of cells that are written as logic, not as instances of their models.
        options: options of nextpnr for a device with pins enough for an accelerator without a board, or for one that is
            placed without pins; None if there is no such device.
        shows_pll: whether a routed netlist shows what the PLL drives.
    """

    family: Family
    part: Mapping[str, str]
    sources: tuple[Path, ...]
    rule: PinRule
    inlined: Mapping[str, Inline] = field(default_factory=dict)
    options: tuple[str, ...] | None = None
    shows_pll: bool = False

    @property
    def name(self) -> str:
        """Name of the family."""
        return self.family.name

    def text(self) -> str:
        """The text of the models."""
        return "\n".join(source.read_text(encoding="utf-8") for source in self.sources)
