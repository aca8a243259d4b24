"""Banks of every kind of memory become the cells that the kind stands for."""

from __future__ import annotations

import pytest

from taylorvit.fpga.families import FAMILIES
from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.memory_bank import memory_bank
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.tape.memory_source import MemoryTapeSource
from verif.rtl.network.configurations import config_of
from verif.tools.yosys import run_yosys

PARTS = {"ecp5": {}, "ice40": {"device": "UP5K"}}
CELLS = ("DP16KD", "TRELLIS_DPR16X4", "SB_RAM40_4K", "SB_SPRAM256KA")
BECOMES = [  # family, kind, words, their bits: the cells, and how many
    ("ecp5", "block", 32, 8, "DP16KD", 1),  # too small to be one if synthesis chose
    ("ecp5", "distributed", 512, 8, "TRELLIS_DPR16X4", 64),
    ("ecp5", "split", 4728, 12, "DP16KD", 4),
    ("ecp5", "auto", 512, 8, "DP16KD", 1),
    ("ice40", "block", 512, 8, "SB_RAM40_4K", 1),
    ("ice40", "huge", 16384, 32, "SB_SPRAM256KA", 2),
]


def synthesize(folder, design, family, cells=CELLS):
    """Lets Yosys count the cells of a block: whether it succeeds, and what it prints."""
    (folder / "design.v").write_text(emit(design), encoding="utf-8")
    steps = FAMILIES[family].synthesis(design.module_name, PARTS[family])
    counts = [f"tee -a counts.txt select -count t:{cell}" for cell in cells]
    return run_yosys(folder, "-p", "; ".join(["read_verilog design.v", *steps, "flatten", *counts]))


def cells_of(folder, design, family, cells=CELLS):
    succeeded, log = synthesize(folder, design, family, cells)
    assert succeeded, log[-2000:]
    counts = [int(line.split()[0]) for line in (folder / "counts.txt").read_text().splitlines()]
    return {cell: count for cell, count in zip(cells, counts, strict=True) if count}


@pytest.mark.parametrize(("family", "kind", "depth", "width", "cell", "count"), BECOMES)
def test_bank_becomes_what_its_kind_says(family, kind, depth, width, cell, count, tmp_path):
    bank = memory_bank(depth=depth, width=width, kind=kind)
    assert cells_of(tmp_path, bank, family) == {cell: count}


def test_memory_in_parts_takes_fewer_choices(tmp_path):
    """Behind as many block RAMs: 7, in 14 rows of one shape, or 4, 2 and 1 of three."""
    luts = {}
    for kind in ("auto", "split"):
        folder = tmp_path / kind
        folder.mkdir()
        bank = memory_bank(depth=14336, width=8, kind=kind)
        counts = cells_of(folder, bank, "ecp5", ("DP16KD", "LUT4"))
        assert counts["DP16KD"] == 7
        luts[kind] = counts["LUT4"]
    assert luts["split"] < luts["auto"] / 2, luts


@pytest.mark.parametrize(("family", "kind"), [("ecp5", "huge"), ("ice40", "distributed")])
def test_kind_that_the_family_lacks_is_an_error_of_synthesis(family, kind, tmp_path):
    succeeded, log = synthesize(tmp_path, memory_bank(depth=64, width=8, kind=kind), family)
    assert not succeeded
    assert "no valid mapping found for memory" in log


def test_memory_of_the_tape_becomes_spram(tmp_path):
    fields = {"tape_source": "memory", "tape_memory_bytes": 1 << 16, "tape_width": 32, "tape_memory": "huge"}
    source = MemoryTapeSource(NetworkConfig.from_mapping(config_of("default").to_mapping() | fields))
    assert cells_of(tmp_path, source, "ice40") == {"SB_SPRAM256KA": 2}
