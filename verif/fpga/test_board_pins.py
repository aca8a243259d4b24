"""Whole boards, driven through their pins: captured tensors in, Z out, whatever happens on the line."""

from __future__ import annotations

import struct
from dataclasses import replace

import cocotb
import numpy as np
import pytest

from taylorvit.fpga.board import load_board
from taylorvit.fpga.protocol import REPLY, BoardStatus, FrameType, Status, Stream, build_id
from taylorvit.fpga.top import BoardTop
from taylorvit.gen.presets import load_preset
from taylorvit.gen.verilog import emit
from taylorvit.jobs import golden_steps
from taylorvit.simulation import build, run
from verif.fpga.link.uart_host import expect
from verif.regression.jobs import captured_job

from .board_pins import STALL_BYTES, Bench, slow

BOARDS = {  # board -> its accelerator: a preset, or its own one, with multipliers that need no vendor's model
    "ulx3s-85f": load_preset("tiny-4x4"),
    "icebreaker": replace(load_board("icebreaker").preset().config, multiplier="inferred"),
}


# Benches: run inside the simulator.


@cocotb.test()
async def captured_tensors_in_z_out(dut):
    """Two jobs of captured tensors go through the pins of the board, and Z is that of the golden model."""
    bench = await Bench.start(dut)
    identification = await bench.host.identify()
    expect("build", identification.build_id, build_id(bench.board.name, bench.config))
    expect(
        "sizes",
        (identification.receive_bytes, identification.stream_bytes),
        (bench.board.receive_bytes, bench.config.stream_width // 8),
    )
    expect("ID", await bench.read("ID"), 0x5441594C)
    await bench.write("INTERRUPT_ENABLE", 1)
    await bench.run_job()
    await bench.run_job()  # the second job begins where the first one's bytes end
    status = await bench.host.status()
    expect("status", status, BoardStatus(
        next_offset=bench.sent, free=bench.board.send_bytes, result_offset=bench.received, available=0,
        interrupt=False, receive_overflow=False, malformed_packet=False, bad_headers=0, bad_payloads=0,
    ))  # fmt: skip
    expect("framing errors", bench.host.framing_errors, 0)


@cocotb.test()
async def a_bad_line_is_survived(dut):
    """On a line that damages bits nothing is lost or sent twice."""
    bench = await Bench.start(dut)
    bench.faulty = True
    await bench.run_job()
    bench.faulty = False
    status = await bench.host.status()
    expect("some headers and some payloads were bad", (status.bad_headers > 2, status.bad_payloads > 2), (True, True))
    expect("nothing was lost or sent twice", status.next_offset, bench.sent)


@cocotb.test()
async def a_reset_in_the_middle_of_a_frame_is_survived(dut):
    """After a reset in the middle of a frame or an answer, a job comes out right."""
    bench = await Bench.start(dut)
    await bench.set_up()
    await bench.write("CONTROL", 1)
    packet = next(bench.packets())
    frame = bench.host.request(FrameType.SEND, struct.pack("<I", 0) + packet[:16])
    for length in (3, 15, len(frame) - 1):
        await bench.host.transmit(frame[:length], bits=bench.random.randint(1, 10))
        await bench.press_button()
        expect("status", await bench.host.status(), BoardStatus(0, bench.board.send_bytes, 0, 0, *[0] * 5))
        expect("the job is gone", await bench.read("STATUS"), 0)
    # ... and of an answer.
    await bench.host.transmit(bench.host.request(FrameType.IDENTIFY))
    await bench.host.idle(8)
    await bench.press_button()
    await bench.run_job()


@cocotb.test()
async def a_job_may_be_given_up(dut):
    """After a RESET in the middle of a job, the next one comes out right."""
    bench = await Bench.start(dut)
    await bench.set_up()
    await bench.write("CONTROL", 1)
    packets = list(bench.packets())
    for packet in packets[:3]:
        await bench.send(packet[: len(packet) - 3])
    await bench.reset()
    expect("status", await bench.host.status(), BoardStatus(0, bench.board.send_bytes, 0, 0, *[0] * 5))
    await bench.run_job(packets)


@cocotb.test()
async def malformed_packets_do_no_harm(dut):
    """A job comes out right with malformed packets between its own."""
    bench = await Bench.start(dut)
    packets = list(bench.packets())
    packets.insert(2, bytes([Stream.Q, 0, 0, 0]))
    packets.insert(1, bytes([7, 40, 0, 0]) + bytes(40))
    await bench.run_job(packets)
    expect("malformed packet", (await bench.host.status()).malformed_packet, True)


@cocotb.test()
async def a_host_that_sends_too_much_loses_bytes(dut):
    """A host that does not wait for answers loses bytes, is told so, and can go on after a RESET."""
    bench = await Bench.start(dut)
    host, board = bench.host, bench.board
    # Every answer is longer than its request: unanswered bytes become more and more.
    request = host.request(FrameType.STATUS)
    count = 7 * board.receive_bytes // (4 * len(request))
    await host.transmit(request * count)
    await host.idle(board.receive_bytes * 4 + 2 * STALL_BYTES)
    answers = [answer for answer in host.answers if answer.kind == FrameType.STATUS | REPLY]
    expect("some were answered", 0 < len(answers) < count, True)
    errors = {answer.status for answer in host.answers if answer.kind == FrameType.ERROR}
    expect("errors are among those that can be", errors <= {Status.BAD_HEADER, Status.STALLED}, True)
    host.answers.clear()
    expect("overflow", (await host.status()).receive_overflow, True)
    await bench.reset()
    await bench.run_job()
    expect("overflow, since RESET", (await host.status()).receive_overflow, False)


# Tests: run by pytest.


@pytest.mark.parametrize("name", BOARDS)
def test_board_pins(name):
    config = BOARDS[name]
    top = BoardTop(slow(name), config)
    tokens, head_dim = min(19, config.max_tokens), min(13, config.max_head_dim)
    job = captured_job("mnist_vit", slice(0, 2), config, tokens=tokens, head_dim=head_dim)
    z = golden_steps(job, config).z
    assert np.unique(z).size > min(50, 2**config.data_width // 2)  # a result worth comparing
    result = run(
        build(emit(top), top.module_name),
        __name__,
        parameters={"board": name, "config": config.to_mapping(), "job": job.to_mapping(), "z": z},
    )
    assert result.tests == 6
    assert result.compared > 7 * z.size
