"""Waveforms: what is sampled."""

import pytest

from .waveform import read_vcd

VCD = """$timescale 1ps $end
$scope module top $end
$var wire 1 ! clk $end
$scope module block $end
$var wire 1 " valid $end
$var wire 4 # data [3:0] $end
$upscope $end
$upscope $end
$enddefinitions $end
#0
0!
0"
b0000 #
#5
1!
1"
b0011 #
#10
0!
#15
1!
0"
b1010 #
#20
0!
#25
1!
#30
0!
"""


@pytest.fixture
def waveform(tmp_path):
    path = tmp_path / "waves.vcd"
    path.write_text(VCD, encoding="ascii")
    return path


def test_samples_are_the_values_before_the_edge(waveform):
    trace = read_vcd(waveform, "top", ["block.valid", "block.data"])
    assert trace["block.valid"].tolist() == [0, 1, 0]
    assert trace["block.data"].tolist() == [0, 3, 10]
    assert trace.from_cycle(1)["block.data"].tolist() == [3, 10]


def test_unknown_signal(waveform):
    with pytest.raises(ValueError, match="signal must be one below top in the waveform, not 'block.ready'"):
        read_vcd(waveform, "top", ["block.ready"])
