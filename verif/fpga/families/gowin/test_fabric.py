"""Sites of Gowin: two LUTs are a quarter of a tile, a DSP of nine tiles has eight multipliers."""

from taylorvit.fpga.families.gowin.fabric import FABRIC


def test_quarters_are_pairs_of_luts():
    assert [FABRIC.quarters(f"{kind}{index}") for kind, index in (("LUT", 0), ("ALU", 3), ("DFF", 7))] == [
        (0,),
        (1,),
        (3,),
    ]
    assert FABRIC.quarters("RAM16SDP4") == (0, 1)
    assert FABRIC.amounts["RAM16SDP4"] == 4


def test_multipliers_lie_side_by_side_in_their_block():
    places = [f"MULT9X9{macro}{index}" for macro in range(2) for index in range(4)]
    blocks = [FABRIC.hard_block("dsp", place) for place in places]
    assert blocks[0][0] == 0
    assert all(right[0] == left[0] + left[1] for left, right in zip(blocks, blocks[1:]))
    assert blocks[-1][0] + blocks[-1][1] == 9


def test_block_ram():
    assert FABRIC.hard_block("block_ram", "BSRAM") == (0, 3, 1)
