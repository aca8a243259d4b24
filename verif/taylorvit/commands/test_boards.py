"""`boards`: every board is listed."""

from .running import run


def test_boards_lists_every_board(capsys):
    status, out, _err = run(capsys, "boards")
    assert status == 0
    for text in ("ulx3s-85f", "LFE5U-85F 6", "icebreaker", "GW2AR-LV18QN88C8/I7", "UART 3 Mbaud"):
        assert text in out
