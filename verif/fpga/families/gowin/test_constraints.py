"""CST: pins and their attributes."""

from taylorvit.fpga.families import PortPin
from taylorvit.fpga.families.gowin.constraints import cst


def test_format():
    ports = [PortPin("clock", "52", {}), PortPin("uart_rx", "18", {"IO_TYPE": "LVCMOS33", "PULL_MODE": "UP"})]
    assert cst("27", ports).splitlines() == [
        'IO_LOC "clock" 52;',
        'IO_LOC "uart_rx" 18;',
        'IO_PORT "uart_rx" IO_TYPE=LVCMOS33 PULL_MODE=UP;',
    ]
