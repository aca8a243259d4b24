"""The host link of a network accelerator: images, logits, and words for a memory that takes its time."""

from __future__ import annotations

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from taylorvit.fpga.protocol import Stream, memory_packet, tensor_packet
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, run

from .link_bench import LINKS, Bench, link
from .uart_host import expect

NAME = "network"


class Memory:
    """Takes words after up to `cycles` cycles each, and remembers them; no word if `cycles` is 0."""

    def __init__(self, bench, cycles):
        self.cycles = cycles
        self._words = []
        self._bench = bench
        cocotb.start_soon(self._run())

    async def _run(self):
        dut, random = self._bench.dut, self._bench.random
        waiting = 0
        while True:
            ready = dut.memory_write_ready.value = waiting == 0 and self.cycles > 0
            await RisingEdge(dut.clk)
            if dut.memory_write_valid.value and ready:
                self._words.append((int(dut.memory_write_address.value), int(dut.memory_write_data.value)))
                waiting = random.randrange(self.cycles)
            else:
                waiting = max(0, waiting - 1)

    async def expect(self, words):
        """These words have come, and no others."""
        for _ in range(200 * len(words) + 100):
            if len(self._words) >= len(words):
                break
            await ClockCycles(self._bench.dut.clk, 10)
        await ClockCycles(self._bench.dut.clk, 200 + self.cycles)
        expect("words", self._words, words)
        self._words.clear()


def words_of(address, data):
    """The words of a packet."""
    return [(address + at, int.from_bytes(data[at : at + 4], "little")) for at in range(0, len(data), 4)]


@cocotb.test()
async def images_and_words_arrive(dut):
    """Images and words arrive once and in order, and a slow memory lets the bytes wait in the send buffer."""
    bench = await Bench.start(dut)
    size = bench.link.memory_bytes
    memory = Memory(bench, 1)
    for memory.cycles in (1, 2000):
        images, words, data = [], [], b""
        for number in range(12):
            if number % 3:
                content = bench.bytes(4 * bench.random.randint(1, 12))
                address = 4 * bench.random.randrange((size - len(content)) // 4 + 1)
                words += words_of(address, content)
                data += memory_packet(address, content)
            else:
                images += bench.random_packets(1, 40)
                data += tensor_packet(*images[-1])
        refused = await bench.send_all(data)
        await memory.expect(words)
        await bench.expect_packets(images)
        expect("bytes waited in the buffer", refused > 0, memory.cycles > 1)
        expect("malformed", (await bench.host.status()).malformed_packet, False)


@cocotb.test()
async def a_packet_that_is_wrong_is_told(dut):
    """A packet with words beyond the memory, or of another accelerator's stream, sets the event until RESET."""
    bench = await Bench.start(dut)
    memory = Memory(bench, 3)
    size = bench.link.memory_bytes
    for wrong, written in (
        (memory_packet(size - 4, bytes(8)), [(size - 4, 0)]),
        (memory_packet(size, bytes(4)), []),
        (tensor_packet(Stream.MEMORY, bytes(9)), [(0, 0)]),
        (tensor_packet(Stream.Q, bytes(4)), []),
    ):
        await bench.send_all(wrong + memory_packet(8, b"good"))
        await memory.expect(written + words_of(8, b"good"))
        expect("malformed", (await bench.host.status()).malformed_packet, True)
        await bench.host.reset()
        bench.sent = 0
        expect("malformed, since RESET", (await bench.host.status()).malformed_packet, False)


@cocotb.test()
async def reset_forgets_a_packet(dut):
    """After a RESET in the middle of a word, and of one that waits for the memory, the next packet is a new one."""
    bench = await Bench.start(dut)
    memory = Memory(bench, 0)
    packet = memory_packet(4, b"nevernever!!")
    for cut in (3, 6, 10, 12, 14):
        memory.cycles = 0
        await bench.send_all(packet[:cut])
        await ClockCycles(dut.clk, 200)
        await bench.host.reset()
        bench.sent = 0
        memory.cycles = 5
        await bench.send_all(memory_packet(8, b"good"))
        await memory.expect(words_of(8, b"good"))


@cocotb.test()
async def logits_arrive(dut):
    """Logits that the accelerator gives arrive at the host, four bytes each."""
    bench = await Bench.start(dut)
    for hesitating in (False, True):
        if hesitating:
            bench.hesitate()
        data = bench.bytes(4 * (10 if hesitating else 50))
        bench.offer_results(data)
        expect("logits", await bench.receive_all(len(data)), data)


def test_network_link():
    block = link(NAME)
    result = run(
        build(emit(block), block.module_name), __name__, parameters={"link": NAME, "skew": LINKS[NAME]["skew"]}
    )
    assert result.tests == 4
