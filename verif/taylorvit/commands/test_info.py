"""`info`: registers and ports."""

from taylorvit.__main__ import main
from taylorvit.rtl.control.registers import register_map


def test_info(capsys, small):
    from taylorvit.gen.generate import port_table, top
    from taylorvit.gen.presets import load_file

    assert main(["info", "--config", str(small)]) == 0
    printed = capsys.readouterr().out
    config = load_file(small)
    for register in register_map(config):
        assert f"{register.offset:#05x}" in printed and register.name in printed
    for name, _direction, _width, _signed in port_table(top(config)):
        assert f" {name} " in printed
