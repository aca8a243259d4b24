"""Source of the tape: memory on the chip, which the host fills word by word.

    tape_write --> [banks of 32 bits] --> [read queue] --> words

A word of the tape is a word of each bank; a narrow one is a part of the single bank's word. The host may write while a
job runs. From banks with one port nothing is read in a cycle in which the host writes: the job waits for that cycle.
"""

from amaranth.hdl import Cat, Module, ResetSignal, Signal
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import memory_bank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.read_queue import ReadQueue
from taylorvit.rtl.common.widths import index_width
from taylorvit.rtl.network.control.registers import IMAGES_WIDTH

from .words import TapeWords

__all__ = ["MemoryTapeSource"]


class MemoryTapeSource(Block):
    """Reads one tape over and over, once for each image.

    Args:
        config (NetworkConfig): the configuration, with `tape_source` "memory".
        tape (bytes | None): what is in the memory at power-up, from its first byte on; None for nothing.

    Ports:
        write (valid: 1 bit, address: bits of a quarter of tape_memory_bytes, data: 32 bits, input): four bytes.
        start (1 bit, input): a job begins.
        images (16 bits, input): how often the tape is read.
        base (32 bits, input): its first byte; the bits below a word of the tape are ignored.
        length (32 bits, input): its bytes; like `base` constant while the job runs.
        ending (1 bit, input): the job is being ended: there are no more words.
        words (TapeWords, output): the tape.
        waiting (1 bit, output): the job has not yet got all of its tapes.

    Raises:
        ValueError: the tape is longer than the memory, or the memory is of a kind that has no contents at power-up.
    """

    module_name = "tape_memory"
    waivers = {
        ("UNUSEDSIGNAL", "base"): "The memory is smaller than what addresses can tell.",
        ("UNUSEDSIGNAL", "length"): "Likewise.",
    }

    def __init__(self, config, tape=None):
        if tape is not None and len(tape) > config.tape_memory_bytes:
            raise ValueError(
                f"tape must have at most tape_memory_bytes = {config.tape_memory_bytes:,} bytes, not {len(tape):,}"
            )
        self.tape_bytes = config.tape_bytes
        self.memory_bytes = config.tape_memory_bytes
        words = [] if tape is None else [int.from_bytes(tape[at : at + 4], "little") for at in range(0, len(tape), 4)]
        banks = max(1, config.tape_bytes // 4)
        self.banks = [
            memory_bank(
                depth=config.tape_memory_bytes // max(4, config.tape_bytes),
                width=32,
                pipeline=config.memory_pipeline,
                kind=config.tape_memory,
                contents=tuple(words[index::banks]),
            )
            for index in range(banks)
        ]
        self.latency = self.banks[0].latency
        self.one_port = self.banks[0].one_port
        self.contents = tuple(words)
        self.queue = ReadQueue(name="tape", width=config.tape_width, memory_latency=self.latency)
        super().__init__(
            {
                "write": In(
                    Signature({"valid": Out(1), "address": Out(index_width(self.memory_bytes // 4)), "data": Out(32)})
                ),
                "start": In(1),
                "images": In(IMAGES_WIDTH),
                "base": In(32),
                "length": In(32),
                "ending": In(1),
                "words": Out(TapeWords(config)),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        shift = (self.tape_bytes - 1).bit_length()
        words = Signal(index_width(self.memory_bytes // self.tape_bytes + 1))  # of a tape
        m.d.sync += words.eq(self.length[shift:] + (self.length[:shift].any() if shift else 0))
        address = Signal(index_width(self.memory_bytes // self.tape_bytes))
        left = Signal.like(words)
        images_left = Signal(IMAGES_WIDTH)
        begins = Signal()
        reading = Signal()
        last = left == 1
        queue = instantiate(m, "queue", self.queue, reset=ResetSignal() | self.ending)
        taken_by_host = self.write.valid if self.one_port else 0
        m.d.comb += queue.ask.eq(reading & queue.room & ~self.ending & ~taken_by_host)
        with m.If(begins):
            m.d.sync += [begins.eq(0), reading.eq(1), address.eq(self.base[shift:]), left.eq(words)]
        with m.If(queue.ask):
            m.d.sync += [address.eq(address + 1), left.eq(left - 1)]
            with m.If(last):
                m.d.sync += [address.eq(self.base[shift:]), left.eq(words), images_left.eq(images_left - 1)]
                m.d.sync += reading.eq(images_left != 1)
        with m.If(self.ending):
            m.d.sync += [begins.eq(0), reading.eq(0)]
        with m.If(self.start):
            m.d.sync += [begins.eq(1), images_left.eq(self.images)]

        self._banks(m, queue, address)
        m.d.comb += [
            self.words.data.eq(queue.data),
            self.words.valid.eq(queue.valid),
            queue.ready.eq(self.words.ready),
            self.waiting.eq(begins | reading),
        ]
        return m

    def _banks(self, m, queue, address):
        """Each bank holds four bytes of a word of the tape, or the single bank four bytes in a row."""
        parts = max(1, 4 // self.tape_bytes)
        part_bits, bank_bits = parts.bit_length() - 1, len(self.banks).bit_length() - 1
        read = []
        for index, component in enumerate(self.banks):
            bank = instantiate(m, f"bank_{index}", component)
            mine = self.write.address[:bank_bits] == index if bank_bits else 1
            m.d.comb += [
                bank.write_enable.eq(self.write.valid & mine),
                bank.write_address.eq(self.write.address[bank_bits:]),
                bank.write_data.eq(self.write.data),
                bank.read_address.eq(address[part_bits:]),
            ]
            read.append(bank.read_data)
        word = Cat(read)
        if part_bits:
            part = delay(m, address[:part_bits], self.latency, "part")
            word = word.word_select(part, 8 * self.tape_bytes)
        m.d.comb += queue.word.eq(word)
