"""Sites of iCE40: two logic cells are a quarter of a tile, hard blocks are several tiles high."""

from taylorvit.fpga.families.ice40.fabric import FABRIC


def test_quarters_are_pairs_of_logic_cells():
    assert [FABRIC.quarters(f"lc{index}") for index in range(8)] == [(0,), (0,), (1,), (1,), (2,), (2,), (3,), (3,)]


def test_hard_blocks():
    assert FABRIC.hard_block("dsp", "mac16_0") == (0, 1, 4)
    assert FABRIC.hard_block("block_ram", "ram") == (0, 1, 2)


def test_rows_are_counted_from_below():
    assert FABRIC.y_up
