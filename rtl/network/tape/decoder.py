"""Tape decoder: takes commands out of the tape, and gives out what they bring.

    body --> command: assembled, added up --> [queue] --> engine
         --> table: a byte a cycle        --> columns
         --> exponentials, of softmax     --> rows
         --> payload: rows                --> tape banks

    COMMAND --> CHECK --> TABLE --> GIVE --> PAYLOAD --> COMMAND
                      '-> END ----------------------'

A product is given out behind its table, and so are the constants of softmax. The command END is given out when the CRC
of the whole tape was right: an image whose END the engine has seen was computed from a good tape.
"""

from functools import reduce
from operator import add

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out, flipped

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.copied_register import CopiedRegister
from taylorvit.rtl.common.counters import credits
from taylorvit.rtl.common.pair_queue import PairQueue
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.common.widths import index_width
from taylorvit.rtl.network.bundles import (
    COMMAND_BITS,
    ExponentialWrite,
    TableWrite,
    TapeWrite,
    command_field,
    sequence_width,
)
from taylorvit.rtl.network.command import (
    COMMAND_BYTES,
    CONSTANTS_FIELDS,
    EXPONENTIAL_BYTES,
    KERNELS,
    Destination,
    Flag,
    Opcode,
    Source,
    Stationary,
)

from .checker import TapeBody
from .payload_writer import PayloadWriter
from .table_writer import TableWriter

__all__ = ["TapeDecoder"]

_ADDENDS = 4  # of one step of a sum
_SHARE = 128  # bits of a command that one copy of an enable serves


class TapeDecoder(Block):
    """Decodes one tape after the other, a word a cycle.

    After a fault it takes nothing more until it is reset.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        body (TapeBody, input): commands and payload.
        passed (1 bit, input): pulse: the tape has ended, and its CRC was right.
        command (COMMAND_BITS, output): the next command.
        command_valid (1 bit, output): there is one.
        command_taken (1 bit, input): it is taken in this cycle, in which it is valid.
        tape_write (TapeWrite, output): a word of payload for the tape banks.
        tape_written (1 bit, output): pulse: one more row is in the tape banks, and may be read from now on.
        tape_read (1 bit, input): pulse: a row is read (`rtl.network.tape.payload_writer`).
        table_write (TableWrite, output): an entry of the table.
        table_finished (1 bit, input): pulse: a product with a table is finished.
        exponential_write (ExponentialWrite, output): of an accelerator with softmax, an entry of its table.
        kernel_1_finished (1 bit, input): of one with softmax, pulse: a product with destination KERNEL_1 is finished.
        command_error (1 bit, output): a command is unknown, its kernel is not there, or its sum is wrong.
        length_error (1 bit, output): END is not where the body ends.
    """

    module_name = "tape_decoder"

    def __init__(self, config):
        self.tape_bytes = config.tape_bytes
        self.command_words = -(-COMMAND_BYTES // config.columns) * config.columns // config.tape_bytes
        # Two commands of 512 bits keep the tape moving: the engine has a product of its own, and here is another one.
        self.queue = PairQueue(name="command", width=COMMAND_BITS) if config.command_queue else None
        self.table = TableWriter(tape_bytes=config.tape_bytes, columns=config.columns, write=TableWrite())
        self.kernels = config.kernels
        self.payload = PayloadWriter(config)
        self.enable = CopiedRegister()
        softmax = {}
        if "softmax" in self.kernels:
            softmax = {"exponential_write": Out(ExponentialWrite(config)), "kernel_1_finished": In(1)}
            self.exponentials = TableWriter(
                tape_bytes=config.tape_bytes,
                columns=config.columns,
                write=ExponentialWrite(config),
                entries=config.exponential_entries,
                entry_bytes=EXPONENTIAL_BYTES,
                module_name="exponential_writer",
            )
        super().__init__(
            {
                "body": In(TapeBody(config)),
                "passed": In(1),
                "command": Out(COMMAND_BITS),
                "command_valid": Out(1),
                "command_taken": In(1),
                "tape_write": Out(TapeWrite(config)),
                "tape_written": Out(1),
                "tape_read": In(1),
                "table_write": Out(TableWrite()),
                "table_finished": In(1),
                **softmax,
                "command_error": Out(1),
                "length_error": Out(1),
            }
        )

    @property
    def sum_steps(self):
        """Cycles in which the bytes of a word are added up."""
        addends = -(-min(self.tape_bytes, COMMAND_BYTES) // 2)
        steps = 1
        while _ADDENDS**steps < addends:
            steps += 1
        return steps

    @property
    def check_latency(self):
        """Cycles from a command's last word to the verdict on it."""
        return max(self.sum_steps + 1, 3)  # three: a command is assembled in the second, and known in the third

    @property
    def row_latency(self):
        """Cycles from the last word of a row in `body` to `tape_written`: the payload writer, a register on the way."""
        return 3

    def elaborate(self, platform):
        m = Module()
        offered = Signal()  # a command can be given out
        table = instantiate(m, "table_writer", self.table)
        payload = instantiate(m, "payload_writer", self.payload)
        exponentials = None
        if "softmax" in self.kernels:
            exponentials = instantiate(m, "exponential_writer", self.exponentials)
        moves = Signal()  # a word is taken
        word = Signal(index_width(self.command_words + 1))  # of a command
        command_ends = Signal()  # with this word
        assembling = Signal()
        command, sum_is_right = self._assemble(m, self.body.valid & assembling, word, payload.write.data)
        opcode = command_field(command, "opcode")
        is_product = opcode == Opcode.PRODUCT
        has_table = is_product & (command_field(command, "flags") & Flag.TABLE).any()
        has_payload = is_product & command_field(command, "payload").any()
        is_end = opcode == Opcode.END
        table_in_use = Signal()  # by a product that is not finished
        known = Signal()
        body_ended = Signal()  # with the last word of the command
        judging = Signal(range(self.check_latency))
        give = Signal()
        # The CRC of a tape was right whose END is not given out: at most of this one and two that wait outside.
        good = credits(m, 2, self.passed, give & is_end, "good_tapes")
        m.d.comb += [moves.eq(self.body.valid & self.body.ready), command_ends.eq(word == self.command_words - 1)]
        m.d.sync += [
            known.eq(_is_known(command, self.kernels)),
            self.command_error.eq(0),
            self.length_error.eq(moves & self.body.last & ~(assembling & command_ends)),
        ]
        with m.If(give & has_table):
            m.d.sync += table_in_use.eq(1)
        with m.Elif(self.table_finished):
            m.d.sync += table_in_use.eq(0)

        with m.FSM(name="state"):
            with m.State("COMMAND"):
                m.d.comb += [self.body.ready.eq(1), assembling.eq(1)]
                with m.If(moves):
                    m.d.sync += [word.eq(word + 1), body_ended.eq(self.body.last)]
                    with m.If(command_ends):
                        m.d.sync += [word.eq(0), judging.eq(self.check_latency - 1)]
                        m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += judging.eq(judging - 1)
                with m.If(judging == 0):
                    with m.If(~known | ~sum_is_right):
                        m.d.sync += self.command_error.eq(1)
                        m.next = "FAULT"
                    with m.Elif(body_ended != is_end):
                        m.d.sync += self.length_error.eq(1)
                        m.next = "FAULT"
                    with m.Elif(is_end):
                        m.next = "END"
                    with m.Elif(has_table):
                        m.next = "TABLE"
                    with m.Else():
                        m.next = "GIVE"
                        if exponentials:
                            with m.If((opcode == Opcode.CONSTANTS) & _is_of(command, "softmax")):
                                m.next = "EXPONENTIALS"
            with m.State("END"):
                m.d.comb += offered.eq(good)
                with m.If(give):
                    m.next = "COMMAND"
            with m.State("TABLE"):
                m.d.comb += [table.active.eq(1), self.body.ready.eq(table.ready)]
                with m.If(table.over):
                    m.next = "GIVE"
            if exponentials:
                with m.State("EXPONENTIALS"):
                    m.d.comb += [exponentials.active.eq(1), self.body.ready.eq(exponentials.ready)]
                    with m.If(exponentials.over):
                        m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += offered.eq(1)
                with m.If(give):
                    m.next = "COMMAND"
                    with m.If(has_payload):
                        m.d.comb += payload.start.eq(1)
                        m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += self.body.ready.eq(payload.ready)
                with m.If(payload.over):
                    m.next = "COMMAND"
            with m.State("FAULT"):
                m.next = "FAULT"

        connect(m, table.write, flipped(self.table_write))
        # The banks are far away: a word has a cycle for the way.
        pass_on(m, payload.write, flipped(self.tape_write))
        m.d.comb += [
            table.data.eq(self.body.data),
            table.valid.eq(self.body.valid),
            table.in_use.eq(table_in_use),
            payload.rows.eq(command_field(command, "payload")),
            payload.data.eq(self.body.data),
            payload.valid.eq(self.body.valid),
            payload.read.eq(self.tape_read),
            self.tape_written.eq(delay(m, payload.written, 1, "written")),
        ]
        self._give_out(m, command, offered, give)
        if exponentials:
            divides = is_product & (command_field(command, "destination") == Destination.KERNEL_1)
            connect(m, exponentials.write, flipped(self.exponential_write))
            m.d.comb += [
                exponentials.data.eq(self.body.data),
                exponentials.valid.eq(self.body.valid),
                exponentials.in_use.eq(
                    credits(m, sequence_width, give & divides, self.kernel_1_finished, "divided_products")
                ),
            ]
        return m

    def _give_out(self, m, command, offered, give):
        """The command goes to the engine, or into the queue, in the cycle of `give`."""
        if self.queue is None:
            m.d.comb += [self.command.eq(command), self.command_valid.eq(offered)]
            m.d.comb += give.eq(offered & self.command_taken)
            return
        queue = instantiate(m, "command_queue", self.queue)
        m.d.comb += [
            give.eq(offered & queue.room),
            queue.put.eq(give),
            queue.incoming.eq(command),
            self.command.eq(queue.word),
            self.command_valid.eq(queue.valid),
            queue.taken.eq(self.command_taken),
        ]

    def _assemble(self, m, moves, word, data_before):
        """Shifts words of a command in and adds them up; returns the command, and whether its sum is right.

        The command is as large as the accelerator, so it is shifted a cycle later, by copies of a register. The words
        are there in that cycle, too: `data_before` is that of the cycle before.
        """
        count = -(-COMMAND_BYTES // self.tape_bytes)  # words with bytes of the command
        taken = min(self.tape_bytes, COMMAND_BYTES)
        data = self.body.data[: 8 * taken]
        inside = Signal()
        assembled = Signal(count * len(data), reset_less=True)
        m.d.comb += inside.eq(moves & (word < count))
        shifted = Cat(assembled, data_before[: len(data)])[len(data) :]
        for low in range(0, len(assembled), _SHARE):
            shifts = instantiate(m, f"shifts_{low // _SHARE}", self.enable)
            m.d.comb += shifts.i.eq(inside)
            with m.If(shifts.o):
                m.d.sync += assembled[low : low + _SHARE].eq(shifted[low : low + _SHARE])

        # The 16-bit words of the command: the bytes at even places, and those at odd ones 256 times.
        lanes = [data.word_select(byte, 8) for byte in range(taken)]
        odd_bits = 16 if taken % 2 else 8  # of the sum at odd places, which a word's length may turn around
        even = _sum(m, lanes[0::2], self.sum_steps, "even", 16)
        odd = _sum(m, lanes[1::2], self.sum_steps, "odd", odd_bits)
        if taken % 2:
            turned = delay(m, word[0], self.sum_steps, "turned")
            even, odd = Mux(turned, odd, even), Mux(turned, even, odd)
        total = Signal(16)
        first = delay(m, word == 0, self.sum_steps, "first")
        with m.If(delay(m, inside, self.sum_steps, "inside")):
            m.d.sync += total.eq(Mux(first, 0, total) + even + (odd << 8))
        return assembled[:COMMAND_BITS], total == 0xFFFF


def _sum(m, addends, steps, name, bits):
    """The sum of some bytes, modulo a power of two, that many cycles later."""
    for step in range(steps):
        groups = [addends[first : first + _ADDENDS] for first in range(0, len(addends), _ADDENDS)] or [[]]
        addends = []
        for index, group in enumerate(groups):
            total = Signal(bits, name=f"{name}_{step}_{index}", reset_less=True)
            m.d.sync += total.eq(reduce(add, group, 0))
            addends.append(total)
    (total,) = addends
    return total


def _is_of(command, kernel):
    """Whether a command CONSTANTS is of an attention kernel."""
    place = CONSTANTS_FIELDS["kernel"].place
    return command[8 * place : 8 * place + 8] == KERNELS.index(kernel)


def _is_known(command, kernels):
    """Whether there is such a command, and the kernel that it names."""
    opcode = command_field(command, "opcode")
    limits = {"source": max(Source), "stationary": max(Stationary), "destination": max(Destination)}
    limits["flags"] = sum(Flag)
    product = Cat(command_field(command, name) <= most for name, most in limits.items()).all()
    constants = (opcode == Opcode.CONSTANTS) & Cat(_is_of(command, kernel) for kernel in kernels).any()
    return Mux(opcode == Opcode.PRODUCT, product, constants | (opcode == Opcode.END))
