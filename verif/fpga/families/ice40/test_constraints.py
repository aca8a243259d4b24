"""PCF: pins, their options, the oscillator."""

from taylorvit.fpga.families import PortPin
from taylorvit.fpga.families.ice40.constraints import pcf


def test_format():
    ports = [PortPin("clock", "35", {}), PortPin("uart_rx", "6", {"pullup": "yes", "nowarn": 1})]
    assert pcf("12", ports).splitlines() == [
        "set_io clock 35",
        "set_io -pullup yes -nowarn 1 uart_rx 6",
        "set_frequency clock 12",
    ]
