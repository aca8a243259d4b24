"""`presets`: every preset is listed."""

from taylorvit.__main__ import main
from taylorvit.gen.presets import preset_names


def test_presets(capsys):
    assert main(["presets"]) == 0
    printed = capsys.readouterr().out
    for name in preset_names():
        assert name in printed
    assert "4,160" in printed and "12,960 (n = 197, d = 64)" in printed and "2,048 (n = 64, d = 16)" in printed
    assert "3,072" in printed and "256 bits" in printed
