"""LPF: pins, their attributes, the oscillator."""

from taylorvit.fpga.families import PortPin
from taylorvit.fpga.families.ecp5.constraints import lpf


def test_format():
    ports = [PortPin("clock", "G2", {}), PortPin("led[0]", "B2", {"IO_TYPE": "LVCMOS33", "DRIVE": 4})]
    assert lpf("25", ports).splitlines() == [
        "BLOCK RESETPATHS;",
        "BLOCK ASYNCPATHS;",
        'LOCATE COMP "clock" SITE "G2";',
        'LOCATE COMP "led[0]" SITE "B2";',
        'IOBUF PORT "led[0]" IO_TYPE=LVCMOS33 DRIVE=4;',
        'FREQUENCY PORT "clock" 25 MHZ;',
    ]
