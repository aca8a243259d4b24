"""Register loader: words of tapes and the accesses of a host share a bus, on which every channel takes its time."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.fpga.link.register_loader import RegisterLoader
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run, start
from verif.rtl.harness import idle_inputs

ADDRESS, DATA = 0x098, 0x09C
WORDS, WRITES, READS = 60, 60, 60


def block():
    return RegisterLoader(address_register=ADDRESS, data_register=DATA)


class Slave:
    """The registers: takes addresses and words in any order, and answers later. Answers tell the number of a write."""

    def __init__(self, dut, generator):
        self.dut, self.generator = dut, generator
        self.writes = []  # (address, data, strobes)
        self.address = self.word = self.read = None
        self.answer = self.read_answer = 0  # cycles until it

    def drive(self):
        dut, generator = self.dut, self.generator
        busy = self.address is not None and self.word is not None
        dut.m_axil_awready.value = self.address is None and generator.random() < 0.4
        dut.m_axil_wready.value = self.word is None and generator.random() < 0.4
        dut.m_axil_bvalid.value = busy and self.answer == 0
        dut.m_axil_bresp.value = 2 * (len(self.writes) & 1)
        dut.m_axil_arready.value = self.read is None and generator.random() < 0.4
        dut.m_axil_rvalid.value = self.read is not None and self.read_answer == 0
        dut.m_axil_rresp.value = 0
        dut.m_axil_rdata.value = (self.read or 0) * 3 + 1

    def sample(self):
        dut = self.dut
        if dut.m_axil_bvalid.value and dut.m_axil_bready.value:
            self.address = self.word = None
        busy = self.address is not None and self.word is not None
        if busy:
            self.answer = max(0, self.answer - 1)
        if dut.m_axil_awvalid.value and dut.m_axil_awready.value:
            self.address = int(dut.m_axil_awaddr.value)
        if dut.m_axil_wvalid.value and dut.m_axil_wready.value:
            self.word = int(dut.m_axil_wdata.value), int(dut.m_axil_wstrb.value)
        if not busy and self.address is not None and self.word is not None:
            self.writes.append((self.address, *self.word))
            self.answer = self.generator.choice((0, 0, 1, 4))
        if dut.m_axil_rvalid.value and dut.m_axil_rready.value:
            self.read = None
        elif self.read is not None:
            self.read_answer = max(0, self.read_answer - 1)
        if dut.m_axil_arvalid.value and dut.m_axil_arready.value:
            self.read = int(dut.m_axil_araddr.value)
            self.read_answer = self.generator.choice((0, 1, 4))


class Host:
    """One write and one read at a time, with an answer that it takes late."""

    def __init__(self, dut, generator, slave):
        self.dut, self.generator, self.slave = dut, generator, slave
        self.writes = [(generator.randrange(0, ADDRESS, 4), generator.getrandbits(32)) for _ in range(WRITES)]
        self.reads = [4 * generator.getrandbits(10) for _ in range(READS)]
        self.written = self.read = 0
        self.pending = set()  # channels on which the write waits
        self.waits = self.asks = self.reading = False

    def drive(self):
        dut, generator = self.dut, self.generator
        if not self.waits and self.written < WRITES and generator.random() < 0.1:
            self.waits, self.pending = True, {"aw", "w"}
        if not self.reading and self.read < READS and generator.random() < 0.2:
            self.reading = self.asks = True
        address, word = self.writes[min(self.written, WRITES - 1)]
        dut.s_axil_awaddr.value, dut.s_axil_wdata.value, dut.s_axil_wstrb.value = address, word, 0b0111
        dut.s_axil_awvalid.value, dut.s_axil_wvalid.value = "aw" in self.pending, "w" in self.pending
        dut.s_axil_bready.value = self.waits and generator.random() < 0.2
        dut.s_axil_araddr.value, dut.s_axil_arvalid.value = self.reads[min(self.read, READS - 1)], self.asks
        dut.s_axil_rready.value = generator.random() < 0.3

    def sample(self):
        dut = self.dut
        if dut.s_axil_bvalid.value:
            expect_equal("an answer belongs to a write", self.waits and not self.pending, True)
            if dut.s_axil_bready.value:
                expect_equal("answer", int(dut.s_axil_bresp.value), 2 * (len(self.slave.writes) & 1))
                self.waits = False
                self.written += 1
        for channel in list(self.pending):
            if getattr(dut, f"s_axil_{channel}ready").value:
                self.pending.remove(channel)
        if self.asks and dut.s_axil_arready.value:
            self.asks = False
        if dut.s_axil_rvalid.value and dut.s_axil_rready.value:
            expect_equal("word read", int(dut.s_axil_rdata.value), self.reads[self.read] * 3 + 1)
            self.reading = False
            self.read += 1


class Tape:
    """The memory writer, whose words stay until they are taken."""

    def __init__(self, dut, generator):
        self.dut, self.generator = dut, generator
        self.words = [(4 * generator.getrandbits(20), generator.getrandbits(32)) for _ in range(WORDS)]
        self.taken = 0
        self.offered = False

    def drive(self):
        self.offered = self.taken < WORDS and (self.offered or self.generator.random() < 0.2)
        word = self.words[self.taken] if self.offered else (self.generator.getrandbits(32),) * 2
        self.dut.write_valid.value = self.offered
        self.dut.write_address.value, self.dut.write_data.value = word

    def sample(self):
        if self.offered and self.dut.write_ready.value:
            self.offered = False
            self.taken += 1


def expect_written(slave, host, tape):
    """Both registers of each word, one right after the other, and between the words the host's writes."""
    of_words = [(place, entry) for place, entry in enumerate(slave.writes) if entry[0] in (ADDRESS, DATA)]
    expected = [entry for address, data in tape.words for entry in ((ADDRESS, address, 0b1111), (DATA, data, 0b1111))]
    expect_equal("words", [entry for _place, entry in of_words], expected)
    places = [place for place, _entry in of_words]
    expect_equal("together", [second - first for first, second in zip(places[::2], places[1::2])], [1] * WORDS)
    of_host = [entry for entry in slave.writes if entry[0] not in (ADDRESS, DATA)]
    expect_equal("writes of the host", of_host, [(address, word, 0b0111) for address, word in host.writes])


async def share(dut, seed):
    """Everything once, from wherever the block is."""
    generator = random.Random(seed)
    slave, tape = Slave(dut, generator), Tape(dut, generator)
    host = Host(dut, generator, slave)
    held = {}
    for _ in range(20_000):
        for end in (slave, host, tape):
            end.drive()
        await RisingEdge(dut.clk)
        for channel, payload in (("aw", "awaddr"), ("w", "wdata")):
            offer = (int(getattr(dut, f"m_axil_{channel}valid").value), int(getattr(dut, f"m_axil_{payload}").value))
            if held.get(channel, (0,))[0]:
                expect_equal(f"{channel} stays until it is taken", offer, held[channel])
            taken = bool(getattr(dut, f"m_axil_{channel}ready").value)
            held[channel] = (0,) if taken else offer
        for end in (slave, host, tape):
            end.sample()
        if (host.written, host.read, tape.taken) == (WRITES, READS, WORDS):
            break
    expect_equal("done", (host.written, host.read, tape.taken), (WRITES, READS, WORDS))
    expect_written(slave, host, tape)


@cocotb.test()
async def words_and_accesses_share_the_bus(dut):
    """Words arrive in order, each as two writes, and no access of the host is lost or answered by another's answer."""
    await start(dut, **idle_inputs(block()))
    for run_number in range(4):
        await share(dut, cocotb.RANDOM_SEED + run_number)


@cocotb.test()
async def a_reset_ends_any_access(dut):
    """After a reset in any cycle of a word, whose registers forget it too, all begins anew."""
    await start(dut, **idle_inputs(block()))
    edge = RisingEdge(dut.clk)
    for cycles in range(14):
        generator = random.Random(cycles)
        slave, tape = Slave(dut, generator), Tape(dut, generator)
        tape.offered = True
        for _ in range(cycles):
            slave.drive()
            tape.drive()
            await edge
            slave.sample()
            tape.sample()
        dut.write_valid.value = 0
        dut.rst.value = 1
        for _ in range(2):
            Slave(dut, generator).drive()
            await edge
        dut.rst.value = 0
        await share(dut, cycles)


def test_register_loader():
    loader = block()
    assert run(build(emit(loader), loader.module_name), __name__).tests == 2
