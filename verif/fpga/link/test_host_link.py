"""The host link as a whole: requests and faults at the UART, models at the register bus and at the streams."""

from __future__ import annotations

import struct

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from taylorvit.fpga.link.host_link import HostLink
from taylorvit.fpga.protocol import BoardStatus, FrameType, Identification, Status, Stream, tensor_packet
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, run, wait_until

from .link_bench import CLOCK_HZ, LINKS, STALL_BYTES, Bench, link
from .uart_host import corrupted, expect

# Benches: run inside the simulator.


@cocotb.test()
async def it_says_what_it_is(dut):
    """IDENTIFY and STATUS tell the sizes and the state of the link, and activity fades after a silence."""
    bench = await Bench.start(dut)
    link = bench.link
    expected = Identification(
        protocol=1, build_id=0x89ABCDEF, clock_hz=CLOCK_HZ, baud=link.baud, receive_bytes=link.receive_bytes,
        send_bytes=link.send_bytes, result_bytes=link.result_bytes, payload_max=link.payload_max,
        stream_bytes=link.stream_bytes,
    )  # fmt: skip
    expect("identification", await bench.host.identify(), expected)
    status = BoardStatus(0, link.send_bytes, 0, 0, False, False, False, 0, 0)
    expect("status", await bench.host.status(), status)
    dut.interrupt.value = 1
    expect("interrupt", (await bench.host.status()).interrupt, True)
    expect("activity", dut.activity.value, 1)
    await bench.host.idle(STALL_BYTES + 40)
    expect("activity, later", dut.activity.value, 0)
    expect("framing errors", bench.host.framing_errors, 0)


@cocotb.test()
async def registers_are_read_and_written(dut):
    """READ and WRITE reach registers, and say so when the bus refuses them or has no such address."""
    bench = await Bench.start(dut)
    host, words = bench.host, {}
    for _ in range(12):
        address, value = 4 * bench.random.randrange(0x200), bench.random.getrandbits(32)
        await host.write(address, value)
        words[address] = value
    for address, value in words.items():
        expect(f"register {address:#x}", await host.read(address), value)
    writes = len(bench.registers.writes)
    for address in (0x800, 0xFFC):
        answer = await host.ask(FrameType.READ, struct.pack("<H", address))
        expect("status of a refused read", answer.status, Status.BUS_ERROR)
        answer = await host.ask(FrameType.WRITE, struct.pack("<HI", address, 1))
        expect("status of a refused write", answer.status, Status.BUS_ERROR)
    expect("writes", len(bench.registers.writes), writes + 2)
    for address in (0x1000, 0xF000, 0xFFFC):
        answer = await host.ask(FrameType.READ, struct.pack("<H", address))
        expect("status of a read beyond the bus", answer.status, Status.BUS_ERROR)
        answer = await host.ask(FrameType.WRITE, struct.pack("<HI", address, 1))
        expect("status of a write beyond the bus", answer.status, Status.BUS_ERROR)
    expect("writes, still", len(bench.registers.writes), writes + 2)


@cocotb.test()
async def a_write_is_carried_out_once(dut):
    """A WRITE that is repeated with its tag is carried out once, and again after a RESET."""
    bench = await Bench.start(dut)
    host, writes = bench.host, bench.registers.writes
    for address, status in ((0x10, Status.OK), (0x900, Status.BUS_ERROR)):
        for repetition in range(3):
            answer = await host.ask(FrameType.WRITE, struct.pack("<HI", address, 77), tag=5)
            expect(f"answer {repetition}", answer.status, status)
            await host.status()  # a request between does not matter
        expect("writes", len(writes), 1)
        writes.clear()
        await host.write(0x20, 1)
        writes.clear()
    await host.ask(FrameType.WRITE, struct.pack("<HI", 0x10, 78), tag=9)
    await host.reset()
    await host.ask(FrameType.WRITE, struct.pack("<HI", 0x10, 78), tag=9)
    expect("writes with a RESET between", len(writes), 2)


@cocotb.test()
async def tensors_arrive(dut):
    """Tensors that are sent arrive as packets, whatever the pace of their sinks."""
    bench = await Bench.start(dut)
    for hesitating in (False, True):
        if hesitating:
            bench.hesitate()
        packets = bench.random_packets(4, bench.link.send_bytes // (3 if hesitating else 1))
        arriving = cocotb.start_soon(bench.expect_packets(packets))
        await bench.send_all(b"".join(tensor_packet(stream, data) for stream, data in packets))
        await arriving
    status = await bench.host.status()
    expect("next offset", status.next_offset, bench.sent)
    expect("free", status.free, bench.link.send_bytes)
    expect("malformed packet", status.malformed_packet, False)


@cocotb.test()
async def what_does_not_fit_is_refused_as_a_whole(dut):
    """A SEND for which there is no room changes nothing."""
    bench = await Bench.start(dut)
    for sink in bench.sinks.values():
        sink.pause = True
    data = bench.bytes(3 * bench.link.send_bytes)
    packets = [(Stream.K, data)]
    stream = tensor_packet(*packets[0])
    await bench.host.send(0, stream[: bench.link.payload_max])
    bench.sent = bench.link.payload_max
    await bench.host.idle(bench.link.payload_max)  # until the first beat waits
    refused = 0
    while refused < 12:
        size = bench.random.randint(1, bench.link.payload_max)
        before = await bench.host.status()
        status, offset, free = await bench.host.send(bench.sent, stream[bench.sent : bench.sent + size])
        fits = size <= before.free
        expect("status", status, Status.OK if fits else Status.NO_SPACE)
        bench.sent += size * fits
        refused += not fits
        expect("next offset", offset, bench.sent)
        expect("free", free, before.free - size * fits)
    for sink in bench.sinks.values():
        sink.pause = False
    arriving = cocotb.start_soon(bench.expect_packets(packets))
    await bench.send_all(stream[bench.sent :])
    await arriving


@cocotb.test()
async def tensor_bytes_may_be_sent_again(dut):
    """Bytes that are sent again, or overlap others, arrive once."""
    bench = await Bench.start(dut)
    packets = [(Stream.V, bench.bytes(4 * bench.link.payload_max))]
    stream = tensor_packet(*packets[0])
    arriving = cocotb.start_soon(bench.expect_packets(packets))
    for _ in range(60):
        first = bench.random.choice((bench.sent, bench.random.randint(0, bench.sent)))
        size = bench.random.randint(1, min(bench.link.payload_max, len(stream) - first + 1))
        data = stream[first : first + size]
        if not data:
            break
        end = first + len(data)
        status, offset, _free = await bench.host.send(first, data)
        if first == bench.sent:
            if status == Status.OK:
                bench.sent = end
        else:
            # What reaches beyond the bytes that were taken is neither old nor next.
            expect("status", status, Status.OK if end <= bench.sent else Status.OUT_OF_ORDER)
        expect("next offset", offset, bench.sent)
    for wrong in (1, 7, 1 << 20, (1 << 31) - 5):
        status, offset, _free = await bench.host.send(bench.sent + wrong, b"wrong")
        expect("status of what is ahead", (status, offset), (Status.OUT_OF_ORDER, bench.sent))
    # Bytes from before offset 0 have a number modulo 2^32 as well.
    status, offset, _free = await bench.host.send(-300, b"old")
    expect("status of what is behind", (status, offset), (Status.OK, bench.sent))
    await bench.send_all(stream[bench.sent :])
    await arriving


@cocotb.test()
async def malformed_packets_are_dropped(dut):
    """Packets that are empty or for no stream are dropped and reported, and those around them arrive."""
    bench = await Bench.start(dut)
    good = [(Stream.Q, bench.bytes(9)), (Stream.V, bench.bytes(30)), (Stream.Q, bench.bytes(1))]
    nothing = bytes([Stream.K, 0, 0, 0])
    unknown = bytes([3, 25, 0, 0]) + bench.bytes(25)
    high = bytes([0x80, 1, 0, 0, 9])
    parts = [tensor_packet(*good[0]), nothing, tensor_packet(*good[1]), unknown, high, tensor_packet(*good[2])]
    arriving = cocotb.start_soon(bench.expect_packets(good))
    await bench.send_all(parts[0])
    expect("malformed packet", (await bench.host.status()).malformed_packet, False)
    await bench.send_all(b"".join(parts[1:]))
    await arriving
    expect("malformed packet", (await bench.host.status()).malformed_packet, True)
    await bench.host.reset()
    expect("malformed packet, after RESET", (await bench.host.status()).malformed_packet, False)


@cocotb.test()
async def results_arrive(dut):
    """Results that are asked for arrive, whatever the pace of the accelerator."""
    bench = await Bench.start(dut)
    for hesitating in (False, True):
        if hesitating:
            bench.hesitate()
        beats = (1 if hesitating else 3) * bench.link.result_bytes // bench.link.results_bytes
        data = bench.bytes(beats * bench.link.results_bytes)
        bench.offer_results(data)
        expect("results", await bench.receive_all(len(data)), data)
    status, _part = await bench.host.receive(bench.received, 5)
    expect("results beyond the end", (status, _part), (Status.OK, b""))


@cocotb.test()
async def results_are_kept_until_they_are_given_up(dut):
    """Results can be asked for again until an offset beyond them is asked for."""
    bench = await Bench.start(dut)
    size = bench.link.result_bytes
    data = bench.bytes(2 * size // bench.link.stream_bytes * bench.link.stream_bytes)
    bench.offer_results(data)
    await bench.host.idle(20)
    status = await bench.host.status()
    expect("offset and available", (status.result_offset, status.available), (0, size))
    offset = 0
    while offset < len(data):
        count = min(bench.link.payload_max, size, len(data) - offset)
        for _repetition in range(2):
            expect("results", await bench.host.receive(offset, count), (Status.OK, data[offset : offset + count]))
        for wrong in bench.random.sample((offset - 1, offset + size + 1, offset + (1 << 31), offset - size), 2):
            expect("results of a wrong offset", await bench.host.receive(wrong, 3), (Status.OUT_OF_ORDER, b""))
        expect("result offset", (await bench.host.status()).result_offset, offset)
        offset += bench.random.randint(count // 2, count)
        expect("giving up", await bench.host.receive(offset, 0), (Status.OK, b""))
        await bench.host.idle(size // 3)  # until there are others in their place
    expect("results", await bench.host.receive(len(data), 9), (Status.OK, b""))
    expect("available", (await bench.host.status()).available, 0)


@cocotb.test()
async def requests_may_wait_in_a_row(dut):
    """Requests that come while one is carried out are answered in their turn."""
    bench = await Bench.start(dut)
    results = bench.bytes(8 * bench.link.stream_bytes)
    bench.offer_results(results)
    packets = [(Stream.K, bench.bytes(10))]
    stream = tensor_packet(*packets[0])
    requests = [
        bench.host.request(FrameType.SEND, struct.pack("<I", 0) + stream),
        bench.host.request(FrameType.RECEIVE, struct.pack("<IH", 0, 8)),
        bench.host.request(FrameType.STATUS),
    ]
    waiting = sum(map(len, requests))
    expect("requests fit", waiting <= bench.link.receive_bytes, True)
    for _ in range(4):
        await bench.host.transmit(b"".join(requests))
        for request, status in zip(requests, (Status.OK,) * 3):
            answer = await bench.host.answer()
            expect("answers come in order", (answer.tag, answer.status), (request[3], status))
        expect("next offset", answer.data[:4], len(stream).to_bytes(4, "little"))
    await bench.expect_packets(packets)


@cocotb.test()
async def the_line_is_what_limits(dut):
    """Requests without a pause between them are all carried out."""
    bench = await Bench.start(dut)
    size = bench.link.payload_max
    packets = [(Stream.V, bench.bytes(8 * size - 4))]
    stream = tensor_packet(*packets[0])
    arriving = cocotb.start_soon(bench.expect_packets(packets))
    requests = [
        bench.host.request(FrameType.SEND, struct.pack("<I", at) + stream[at : at + size])
        for at in range(0, len(stream), size)
    ]
    await bench.host.transmit(b"".join(requests))  # without a pause, and nobody waits for answers
    await bench.host.idle(len(requests[0]))
    expect(
        "answers",
        [(answer.tag, answer.status) for answer in bench.host.answers],
        [(request[3], Status.OK) for request in requests],
    )
    bench.host.answers.clear()
    await arriving
    expect("overflow", (await bench.host.status()).receive_overflow, False)


@cocotb.test()
async def requests_that_are_wrong_are_named(dut):
    """Requests of a wrong length or kind are answered with the reason."""
    bench = await Bench.start(dut)
    host = bench.host
    right = {FrameType.IDENTIFY: {0}, FrameType.READ: {2}, FrameType.WRITE: {6}, FrameType.RECEIVE: {6},
             FrameType.SEND: set(range(5, bench.link.payload_max + 5)), FrameType.STATUS: {0},
             FrameType.RESET: {0}}  # fmt: skip
    for kind, lengths in right.items():
        for length in (0, 1, 2, 3, 4, 5, 6, 7, bench.link.payload_max + 5, bench.link.payload_max + 8):
            if length not in lengths:
                answer = await host.ask(kind, bytes(length))
                expect(f"{kind.name} of {length} bytes", (answer.status, answer.data), (Status.BAD_LENGTH, b""))
    for kind in (0x00, 0x08, 0x0F, 0x41, 0x7F):
        for length in (0, 3):
            answer = await host.ask(kind, bytes(length))
            expect(f"type {kind:#x}", (answer.status, answer.data), (Status.UNKNOWN_TYPE, b""))
    expect("writes", bench.registers.writes, [])
    status = await host.status()
    expect("nothing was sent", (status.next_offset, status.bad_headers, status.bad_payloads), (0, 0, 0))


async def expect_error(bench, status):
    """The unsolicited answer, and no other."""
    answer = await bench.host.answer()
    expect("error", (answer.kind, answer.tag, answer.status, answer.data), (FrameType.ERROR, 0, status, b""))


@cocotb.test()
async def damaged_payloads_are_not_used(dut):
    """A request with a damaged payload is answered BAD_CRC and does nothing."""
    bench = await Bench.start(dut)
    host = bench.host
    expected = [(Stream.Q, bench.bytes(6))]
    good = struct.pack("<I", 0) + tensor_packet(*expected[0])
    for number in range(8):
        request = host.request(FrameType.SEND, good)
        bits = [bench.random.randrange(8 * 8, 8 * len(request)) for _ in range(1 + number % 3)]
        await host.transmit(corrupted(request, set(bits)))
        answer = await host.answer()
        expect("answer", (answer.tag, answer.status, answer.data), (request[3], Status.BAD_CRC, b""))
    request = host.request(FrameType.WRITE, struct.pack("<HI", 0, 1))
    await host.transmit(corrupted(request, [70]))
    expect("answer", (await host.answer()).status, Status.BAD_CRC)
    expect("writes", bench.registers.writes, [])
    status = await host.status()
    expect("status", (status.next_offset, status.bad_payloads, status.bad_headers), (0, 9, 0))
    await host.transmit(host.request(FrameType.SEND, good))
    expect("the same again", (await host.answer()).status, Status.OK)
    await bench.expect_packets(expected)


@cocotb.test()
async def damaged_headers_are_reported_once(dut):
    """A damaged header is reported once, and the link works on."""
    bench = await Bench.start(dut)
    host = bench.host
    for bit in (0, 9, 17, 25, 35, 44, 50, 63):
        await host.transmit(corrupted(host.request(FrameType.STATUS), [bit]))
        await expect_error(bench, Status.BAD_HEADER)
        await bench.expect_alive()
    expect("bad headers", (await host.status()).bad_headers, 8)
    # A length that cannot be, with a CRC that is right.
    await host.transmit(host.request(FrameType.SEND, bytes(bench.link.payload_max + 9))[:8])
    await expect_error(bench, Status.BAD_HEADER)
    await bench.expect_alive()
    await host.reset()
    expect("bad headers", (await host.status()).bad_headers, 0)


@cocotb.test()
async def garbage_is_passed_over(dut):
    """Bytes that are no frame are reported once, and the frame behind them is answered."""
    bench = await Bench.start(dut)
    host = bench.host
    for number in range(10):
        garbage = bench.bytes(bench.random.randint(1, 40)).replace(b"\xa5", b"\xa4")
        if number % 3 == 0:
            garbage += b"\xa5" * bench.random.randint(1, 3)
        if number % 3 == 1:
            garbage += b"\xa5\x5a" + bytes(6)
        await host.transmit(garbage + host.request(FrameType.STATUS))
        await expect_error(bench, Status.BAD_HEADER)
        answer = await host.answer()
        expect("answer", (answer.tag, answer.status), (host.tag, Status.OK))
        expect("bad headers", BoardStatus.decode(answer.data).bad_headers, number + 1)
        await host.expect_silence(2)


@cocotb.test()
async def frames_that_break_off_are_given_up(dut):
    """A frame that breaks off is given up after the stated silence, and the link works on."""
    bench = await Bench.start(dut)
    host = bench.host
    request = host.request(FrameType.SEND, struct.pack("<I", 0) + bytes(12))
    for length in (1, 2, 5, 7, 8, 11, len(request) - 1):
        await host.transmit(request[:length])
        await host.expect_silence(STALL_BYTES * 0.9)
        await expect_error(bench, Status.STALLED)
        await host.expect_silence(2 * STALL_BYTES)
        await bench.expect_alive()
    # The next frame begins before the time is over, and is taken for the rest of the one before.
    write = host.request(FrameType.WRITE, struct.pack("<HI", 0, 1))
    await host.transmit(write[:-2] + host.request(FrameType.STATUS))
    expect("answer to the first", (await host.answer()).status, Status.BAD_CRC)
    await expect_error(bench, Status.BAD_HEADER)
    await bench.expect_alive()
    expect("writes", bench.registers.writes, [])
    expect("next offset", (await host.status()).next_offset, 0)


@cocotb.test()
async def disturbances_of_the_line_are_survived(dut):
    """After spikes, breaks and bytes without stop bits the link works on."""
    bench = await Bench.start(dut)
    host = bench.host
    await bench.expect_alive()
    # A spike is no start bit.
    dut.uart_rx.value = 0
    await ClockCycles(dut.clk, 1)
    dut.uart_rx.value = 1
    await host.idle(2)
    await bench.expect_alive()
    # A break, and bytes without stop bits, are no bytes.
    dut.uart_rx.value = 0
    await host.idle(5)
    dut.uart_rx.value = 1
    await host.idle(2)
    for byte in (b"\xff", b"\x0f"):
        await host.transmit(byte, stop_bit=0)
        await host.idle(2)
    await bench.expect_alive()
    # A byte of a frame without stop bit is missing.
    request = host.request(FrameType.READ, bytes(2))
    await host.transmit(request[:9])
    await host.transmit(request[9:10], stop_bit=0)
    await host.idle(1)
    await host.transmit(request[10:])
    await expect_error(bench, Status.STALLED)
    await bench.expect_alive()


@cocotb.test()
async def a_host_that_sends_too_much_loses_bytes(dut):
    """A host that does not wait for answers loses bytes, is told so, and the link works on."""
    bench = await Bench.start(dut)
    host = bench.host
    results = bench.bytes(bench.link.result_bytes // bench.link.stream_bytes * bench.link.stream_bytes)
    bench.offer_results(results)
    await host.idle(10)
    count = min(bench.link.payload_max, len(results))
    request = host.request(FrameType.RECEIVE, struct.pack("<IH", 0, count))
    # Each request asks for more bytes than it has, so they pile up.
    number = bench.link.receive_bytes // len(request) + 12
    await host.transmit(request * number)
    await host.idle(number * (count + 20))
    expect("some were answered", 0 < len(host.answers) < number, True)
    answered = [answer for answer in host.answers if answer.kind == FrameType.RECEIVE | 0x80 and not answer.status]
    expect("answers are right", [answer.data[4:] for answer in answered], [results[:count]] * len(answered))
    host.answers.clear()
    await host.idle(STALL_BYTES * 2)
    host.answers.clear()
    await bench.expect_alive()
    expect("overflow", (await host.status()).receive_overflow, True)
    await host.reset()
    expect("overflow, after RESET", (await host.status()).receive_overflow, False)


@cocotb.test()
async def reset_empties_everything(dut):
    """A RESET empties all buffers and sets offsets and errors back."""
    bench = await Bench.start(dut)
    host = bench.host
    for sink in bench.sinks.values():
        sink.pause = True
    size = bench.link.stream_bytes
    bench.offer_results(bench.bytes(2 * size))
    await host.send(0, tensor_packet(Stream.K, bench.bytes(3 * size))[: bench.link.payload_max])
    await host.idle(10)
    before = await host.status()
    expect("before", (before.next_offset > 0, before.available), (True, 2 * size))

    async def watch():
        return await wait_until(dut, lambda: dut.accelerator_reset.value, what="reset", limit=10_000)

    watching = cocotb.start_soon(watch())
    await host.reset()
    await watching
    expect("reset is over", dut.accelerator_reset.value, 0)
    expect("status", await host.status(), BoardStatus(0, bench.link.send_bytes, 0, 0, False, False, False, 0, 0))
    for sink in bench.sinks.values():
        sink.pause = False
    packets = [(Stream.V, bench.bytes(5))]
    await bench.send_all(tensor_packet(*packets[0]))
    await bench.expect_packets(packets)
    expect("nothing of the packet before", bench.sinks[Stream.K].empty(), True)


@cocotb.test()
async def a_reset_in_the_middle_of_a_frame_is_survived(dut):
    """After a reset at any bit of a frame the link works on."""
    bench = await Bench.start(dut)
    host = bench.host
    edge = RisingEdge(dut.clk)
    for bits in (3, 37, 95):
        request = host.request(FrameType.SEND, struct.pack("<I", 0) + bytes(12))
        await host.transmit(request[: bits // 10 + 1], bits=bits % 10)
        await edge
        dut.rst.value = 1
        await edge
        dut.rst.value = 0
        await host.idle(2)
        await bench.expect_alive()
    # ... and of an answer.
    await host.transmit(host.request(FrameType.IDENTIFY))
    await host.idle(12)
    await edge
    dut.rst.value = 1
    await edge
    dut.rst.value = 0
    await host.idle(3)
    host.decoder.clear()
    await bench.expect_alive()


# Tests: run by pytest.


@pytest.mark.parametrize("name", sorted(LINKS.keys() - {"network"}))
def test_host_link(name):
    block = link(name)
    result = run(
        build(emit(block), block.module_name), __name__, parameters={"link": name, "skew": LINKS[name]["skew"]}
    )
    assert result.tests == 20


RIGHT = {"stream_bytes": 4, "clock_hz": 25_000_000, "baud": 3_000_000, "build_id": 1}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"stream_bytes": 0}, "stream_bytes must be 1..512, not 0"),
        ({"payload_max": 0}, "payload_max must be 1..65527, not 0"),
        ({"build_id": 1 << 32}, "build_id must be an integer of 32 bits, not 4294967296"),
        ({"receive_bytes": 1000}, "receive_bytes must be a power of two, 2 or more, not 1000"),
        ({"send_bytes": 1}, "send_bytes must be a power of two, 2 or more, not 1"),
        ({"result_bytes": "1"}, "result_bytes must be a power of two, 2 or more, not '1'"),
        ({"stall_ms": 0}, "stall_ms must be more than 0 and at most 1000, not 0"),
        ({"send_bytes": 512}, "payload_max must be at most send_bytes = 512, and 16 less than receive_bytes = 2048,"),
        ({"receive_bytes": 1024}, "payload_max must be at most send_bytes = 2048, and 16 less than receive_bytes = "),
        ({"baud": 9_000_000}, "baud must be at most clock_hz / 3 = 8333333, not 9000000"),
    ],
)
def test_what_cannot_be_built(wrong, error):
    with pytest.raises(ValueError) as raised:
        HostLink(**(RIGHT | wrong))
    assert str(raised.value).startswith(error)
