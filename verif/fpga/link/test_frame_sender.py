"""Frame sender, with the CRC that belongs to it, against the frames of `fpga.protocol`."""

from __future__ import annotations

import random

import cocotb
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out
from cocotb.triggers import RisingEdge

from taylorvit.fpga.link.frame_crc import FrameCrc
from taylorvit.fpga.link.frame_sender import FrameSender
from taylorvit.fpga.protocol import Frame
from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.simulation import build, expect_equal, run, start
from verif.rtl.harness import idle_inputs, ports_of

PAYLOAD_MAX = 40


class CheckedSender(Block):
    """A frame sender and its CRC."""

    module_name = "checked_sender"

    def __init__(self):
        self.sender = FrameSender(payload_max=PAYLOAD_MAX)
        super().__init__(
            {
                name: (In if incoming else Out)(width)
                for name, (width, incoming) in ports_of(self.sender).items()
                if not name.startswith("crc_")
            }
        )

    def elaborate(self, platform):
        m = Module()
        sender = instantiate(m, "sender", self.sender)
        crc = instantiate(m, "crc", FrameCrc())
        for name, member, inner in self.sender.flat_ports(sender):
            if not name.startswith("crc_"):
                outer = getattr(self, name)
                m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        for name in ("header", "start", "drain"):
            m.d.comb += getattr(crc, name).eq(getattr(sender, f"crc_{name}"))
        for name in ("done", "header_crc", "payload_crc"):
            m.d.comb += getattr(sender, f"crc_{name}").eq(getattr(crc, name))
        m.d.comb += [
            crc.data.eq(sender.data),
            crc.header_clear.eq(sender.crc_clear),
            crc.payload_clear.eq(sender.crc_clear),
        ]
        return m


@cocotb.test()
async def frames_are_sent(dut):
    """Frames of every length are sent with their CRCs, even if the payload comes as late as it may."""
    await start(dut, **idle_inputs(CheckedSender()))
    generator = random.Random(cocotb.RANDOM_SEED)
    edge = RisingEdge(dut.clk)
    for length in (1, 2, 3, 7, PAYLOAD_MAX, 1):
        frame = Frame(generator.randrange(256), generator.randrange(256), generator.randbytes(length))
        dut.reply_kind.value, dut.reply_tag.value, dut.reply_length.value, dut.reply_start.value = (
            frame.type,
            frame.tag,
            length,
            1,
        )
        dut.reply_payload.value = frame.payload[0]
        await edge
        dut.reply_start.value = 0
        sent, taken, late, done = b"", 0, None, False
        for _cycle in range(60 * len(frame.encode())):
            ready = generator.random() < 0.1
            dut.ready.value = ready
            if late is not None:
                # The next byte of the payload comes as late as it may.
                late -= 1
                if late == 0:
                    dut.reply_payload.value = (frame.payload + b"\xcc")[taken]
                    late = None
                else:
                    dut.reply_payload.value = generator.randrange(256)
            await edge
            if dut.valid.value and ready:
                sent += bytes([int(dut.data.value)])
            if dut.reply_advance.value:
                taken += 1
                late = FrameCrc.latency
            done = bool(dut.reply_done.value)
            if done:
                break
        expect_equal("done", done, True)
        expect_equal(f"frame of {length} bytes", list(sent), list(frame.encode()))
        expect_equal("bytes of the payload taken", taken, length)
        dut.ready.value = 1
        for _ in range(20):
            await edge
            expect_equal("nothing after the frame", dut.valid.value, 0)
        dut.ready.value = 0


def test_frame_sender():
    block = CheckedSender()
    run(build(emit(block), block.module_name), __name__)
