"""`boards`: every board is listed, with its networks."""

from .running import run


def test_boards_lists_every_board_and_network(capsys):
    status, out, _err = run(capsys, "boards")
    assert status == 0
    networks = out.partition("Networks")[2]
    assert "ulx3s-25f" in networks and "digits" in networks and "bytes on the chip" in networks
    for text in ("ulx3s-85f", "LFE5U-85F 6", "icebreaker", "GW2AR-LV18QN88C8/I7", "UART 3 Mbaud"):
        assert text in out
