"""Sites of ECP5: slices are quarters of a tile, a block RAM is two tiles wide."""

import pytest

from taylorvit.fpga.families.ecp5.fabric import FABRIC


def test_quarters_are_slices():
    assert [FABRIC.quarters(f"SLICE{name}.COMB1") for name in "ABCD"] == [(0,), (1,), (2,), (3,)]
    assert FABRIC.quarters("SLICEC.FF0") == (2,)


@pytest.mark.parametrize(
    "place, kind",
    [("SLICEA.COMB0", "lut"), ("SLICED.FF1", "ff"), ("MULT18_4", "dsp"), ("EBR3", "block_ram"), ("PIOA", None)],
)
def test_kind_of_a_place(place, kind):
    found = [kind for kind, pattern in FABRIC.kinds.items() if pattern.fullmatch(place)]
    assert found == ([kind] if kind else [])


def test_hard_blocks():
    assert FABRIC.hard_block("dsp", "MULT18_1") == (0, 1, 1)
    assert FABRIC.hard_block("block_ram", "EBR0") == (0, 2, 1)
