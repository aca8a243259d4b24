"""AXI signatures: the names, directions and widths that the specifications give."""

from __future__ import annotations

import pytest
from amaranth.hdl import Shape
from amaranth.lib.wiring import In, Out
from cocotbext.axi.axi_channels import AxiARBus, AxiAWBus, AxiBBus, AxiRBus, AxiWBus
from cocotbext.axi.axil_channels import AxiLiteARBus, AxiLiteAWBus, AxiLiteBBus, AxiLiteRBus, AxiLiteWBus
from cocotbext.axi.axis import AxiStreamBus

from taylorvit.rtl.common.axi import AxiLite, AxiRead, AxiStream, AxiWrite


def members(signature):
    return {path[0]: (member.flow, Shape.cast(member.shape).width) for path, member in signature.members.flatten()}


def test_a_stream_is_seen_from_its_source():
    assert members(AxiStream(24)) == {"tdata": (Out, 24), "tvalid": (Out, 1), "tready": (In, 1), "tlast": (Out, 1)}


@pytest.mark.parametrize("data_width", [32, 64])
def test_a_register_bus_is_seen_from_its_master(data_width):
    found = members(AxiLite(address_width=12, data_width=data_width))
    widths = {"awaddr": 12, "araddr": 12, "wdata": data_width, "rdata": data_width, "wstrb": data_width // 8,
              "awprot": 3, "arprot": 3, "bresp": 2, "rresp": 2}  # fmt: skip
    incoming = {"awready", "wready", "bresp", "bvalid", "arready", "rdata", "rresp", "rvalid"}
    assert found == {name: (In if name in incoming else Out, widths.get(name, 1)) for name in found}


def test_the_members_are_those_that_other_tools_look_for():
    assert {*members(AxiStream(8))} >= {*AxiStreamBus._signals}
    channels = (AxiLiteAWBus, AxiLiteWBus, AxiLiteBBus, AxiLiteARBus, AxiLiteRBus)
    wanted = {name for channel in channels for name in channel._signals}
    known = wanted | {name for channel in channels for name in channel._optional_signals}
    assert wanted <= {*members(AxiLite(address_width=12, data_width=32))} <= known


def test_a_memory_has_no_identifiers_and_otherwise_what_other_tools_look_for():
    widths = {"address_width": 20, "data_width": 16}
    for signature, channels in ((AxiRead, (AxiARBus, AxiRBus)), (AxiWrite, (AxiAWBus, AxiWBus, AxiBBus))):
        wanted = {name for channel in channels for name in channel._signals} - {"arid", "rid", "awid", "bid"}
        known = wanted | {name for channel in channels for name in channel._optional_signals}
        assert wanted <= {*members(signature(**widths))} <= known
    assert members(AxiWrite(**widths))["wstrb"] == (Out, 2)
