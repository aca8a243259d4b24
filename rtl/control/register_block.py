"""Registers behind AXI4-Lite: the hardware of a register map.

What both accelerators' registers have in common. Names, places and ranges are read from a
`rtl.control.description.RegisterMap`; a subclass says what its core tells and is told.

    AW --> [address] --+--> merge bytes --> [merged] --> check, commit --> B
    W  --> [data] -----+                                    |
    AR --> [address] --> select, in two steps --> R         +--> job registers --(start)--> [job] --> core

    core's pulses --> events, error counts --> interrupt
    core's levels --> performance counters

Responses. A read of an offset that is no register gives 0 with SLVERR; a write to it, or to a register that
cannot be written, gives SLVERR and has no effect (DECERR is for interconnects). A parameter written out of its
range keeps its old value, and START has no effect while a job runs: both answer SLVERR, set an event and are counted.
Bytes that WSTRB leaves out keep their value: bytes are merged first, then the whole word is checked.
The two lowest address bits are ignored.

Resets. `soft_reset` stops the core only. Job registers, events, interrupt enables and all counts keep their
values, so that a host can still read what went wrong.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiLite, Response
from taylorvit.rtl.common.block import Block

from .description import ADDRESS_WIDTH, DATA_WIDTH, Access

__all__ = ["RegisterBlock", "count_up"]

_READ_GROUP = 6  # registers of which at most one is read in one step


class RegisterBlock(Block):
    """Registers of a map that has CONTROL, STATUS, EVENTS, INTERRUPT_ENABLE and TIMEOUT; a class to derive from.

    A read is answered `read_latency` cycles after its address, a write `write_latency` cycles after the later of
    address and data. A performance counter counts a cycle late. Counters and counts stop at their maximum.

    Args:
        registers (RegisterMap): the map.
        job_parameters (tuple[str, ...]): the outputs that a start sets, each from the registers of its name.
        ports (dict): the ports besides the first four; `timeout`, `busy` and `job_parameters` are among them.

    Ports:
        s_axil (AxiLite, slave): one write and one read may be outstanding; address and data of a write may come in any
            order.
        interrupt (1 bit, output): level, high while an enabled event is set.
        start (1 bit, output): for one cycle; the parameters of the job are stable from this cycle to the next `start`,
            so a host may write those of the next job while one runs.
        soft_reset (1 bit, output): for one cycle.
        timeout (counter_width bits, output): register TIMEOUT as it stands.
        busy (1 bit, input): the core runs a job; it rises in the cycle after `start`.
    """

    waivers = {
        ("UNUSEDSIGNAL", "s_axil_a*prot"): "Protection has no meaning for these registers.",
        ("UNUSEDSIGNAL", "s_axil_a*addr"): "Registers are words: the two lowest address bits are ignored.",
    }

    starts = ("START",)
    """Fields of CONTROL that start a job."""

    read_latency = 4
    write_latency = 5

    def __init__(self, registers, *, job_parameters, ports):
        self.registers = registers
        self._job_parameters = job_parameters
        super().__init__(
            {
                "s_axil": In(AxiLite(address_width=ADDRESS_WIDTH, data_width=DATA_WIDTH)),
                "interrupt": Out(1),
                "start": Out(1),
                "soft_reset": Out(1),
                **ports,
            }
        )

    def happening(self):
        """Event -> its pulse, 1 bit, of those that the core tells."""
        raise NotImplementedError

    def counted(self):
        """Performance counter -> the level or pulse that it counts, 1 bit; a start clears them all."""
        raise NotImplementedError

    def connect_more(self, m, values, starting):
        """Connects registers of one map alone; by default there is none.

        Args:
            m (amaranth.hdl.Module): this block's module.
            values (dict): register -> its value.
            starting (amaranth.hdl.Value): the parameters of a job are taken over; `start` follows.
        """

    def elaborate(self, platform):
        m = Module()
        values = {register.name: _value(register) for register in self.registers}
        events = {name: Signal(name=f"event_{name.lower()}") for name in self.registers.events}
        starting = Signal()
        occupied = Signal()  # by a job; a register, since the core is far away
        m.d.sync += occupied.eq(self.busy | self.start | starting)

        m.d.comb += [
            *(events[name].eq(pulse) for name, pulse in self.happening().items()),
            values["STATUS"].eq(occupied),
            self.timeout.eq(values["TIMEOUT"]),
        ]
        self._count(m, values, events)
        self._write(m, values, events, occupied, starting)
        # The parameters are many and everywhere: they follow the decision a cycle later.
        m.d.sync += self.start.eq(starting)
        with m.If(starting):
            for name in self._job_parameters:
                words = [values[word.name] for word in self.registers.words(name.upper())]
                m.d.sync += getattr(self, name).eq(Cat(words) if len(words) > 1 else words[0])
        self._read(m, values)
        self.connect_more(m, values, starting)
        # After the write: an event in the very cycle in which its bit is cleared is kept.
        for name, (bit, _description) in self.registers.events.items():
            with m.If(events[name]):
                m.d.sync += values["EVENTS"][bit].eq(1)
        m.d.sync += self.interrupt.eq((values["EVENTS"] & values["INTERRUPT_ENABLE"]).any())
        return m

    def _count(self, m, values, events):
        """Performance counters of the job, and error counts."""
        counted = {}
        for name, happens in self.counted().items():
            # Counted a cycle later: the core is far away, and a counter is wide.
            counted[name] = Signal(name=f"counts_{name.lower()}")
            m.d.sync += counted[name].eq(happens)
        with m.If(self.start):
            for name in counted:
                m.d.sync += values[name].eq(0)
        with m.Else():
            for name, happens in counted.items():
                count_up(m, values[name], happens)
        for name in events:
            if f"COUNT_{name}" in values:
                count_up(m, values[f"COUNT_{name}"], events[name])

    def _write(self, m, values, events, occupied, starting):
        """AW and W into registers, in any order; then merge; then check; then commit and respond."""
        address_held = Signal()
        data_held = Signal()
        write_word = Signal(ADDRESS_WIDTH - 2)
        write_data = Signal(DATA_WIDTH)
        write_strobe = Signal(DATA_WIDTH // 8)
        m.d.comb += [self.s_axil.awready.eq(~address_held), self.s_axil.wready.eq(~data_held)]
        with m.If(self.s_axil.awvalid & self.s_axil.awready):
            m.d.sync += [address_held.eq(1), write_word.eq(self.s_axil.awaddr[2:])]
        with m.If(self.s_axil.wvalid & self.s_axil.wready):
            m.d.sync += [
                data_held.eq(1),
                write_data.eq(self.s_axil.wdata),
                write_strobe.eq(self.s_axil.wstrb),
            ]

        # Bytes left out keep the old value of a parameter, and are 0 (no effect) for every other register.
        writable = [register for register in self.registers if register.access.writable]
        is_written = _is_each(m, writable, write_word, "is_written")
        kept_word = Signal(DATA_WIDTH)
        m.d.comb += kept_word.eq(
            reduce(
                or_,
                (
                    Mux(selected, values[register.name], 0)
                    for selected, register in zip(is_written, writable)
                    if register.access is Access.READ_WRITE
                ),
            )
        )
        merged = Signal(DATA_WIDTH)
        limits = least, most, is_signed = (
            Signal(signed(DATA_WIDTH + 1), name="least_written"),
            Signal(signed(DATA_WIDTH + 1), name="most_written"),
            Signal(name="signed_written"),
        )
        held = Signal()
        check = Signal()
        commit = Signal()
        m.d.sync += held.eq(address_held & data_held)
        with m.If(held & address_held & data_held & ~check & ~commit & ~self.s_axil.bvalid):
            m.d.sync += [check.eq(1), *(mine.eq(limit) for mine, limit in zip(limits, _limits(writable, is_written)))]
            for byte, strobe in enumerate(write_strobe):
                bits = slice(8 * byte, 8 * byte + 8)
                m.d.sync += merged[bits].eq(Mux(strobe, write_data[bits], kept_word[bits]))

        above_least = Signal()
        below_most = Signal()
        in_range = above_least & below_most
        number = Cat(merged, is_signed & merged[-1]).as_signed()
        with m.If(check):
            m.d.sync += [check.eq(0), commit.eq(1), above_least.eq(number >= least), below_most.eq(number <= most)]

        accepted = Signal()
        m.d.sync += [starting.eq(0), self.soft_reset.eq(0)]
        with m.If(commit):
            m.d.sync += [
                commit.eq(0),
                self.s_axil.bvalid.eq(1),
                self.s_axil.bresp.eq(Mux(accepted, Response.OKAY, Response.SLVERR)),
            ]
            for selected, register in zip(is_written, writable):
                with m.If(selected):
                    if register.access is Access.PULSE:
                        self._control(m, register, merged, events, accepted, occupied, starting)
                    elif register.access is Access.WRITE_ONLY:
                        m.d.comb += accepted.eq(self.taken_word(m, register, merged, values, events))
                    else:
                        _commit(m, register, merged, in_range, write_strobe, values, events, accepted)
        with m.If(self.s_axil.bvalid & self.s_axil.bready):
            m.d.sync += [self.s_axil.bvalid.eq(0), address_held.eq(0), data_held.eq(0)]

    def taken_word(self, m, register, word, values, events):
        """Hands on what is written to a register that is only written, under the conditions that hold here.

        Args:
            m (amaranth.hdl.Module): this block's module.
            register (Register): the register.
            word (amaranth.hdl.Value): what is written.
            values (dict): register -> its value.
            events (dict): event -> its signal.

        Returns:
            amaranth.hdl.Value: whether the write is accepted.
        """
        raise NotImplementedError

    def _control(self, m, register, written, events, accepted, occupied, starting):
        """Acts on register CONTROL. Commits are 4 cycles apart at least: `occupied` already shows an earlier START."""
        soft_reset = written[register["SOFT_RESET"].low]
        start = Cat(written[register[name].low] for name in self.starts).any() & ~soft_reset
        m.d.comb += [
            events["START_WHILE_BUSY"].eq(start & occupied),
            accepted.eq(~events["START_WHILE_BUSY"]),
        ]
        m.d.sync += self.soft_reset.eq(soft_reset)
        with m.If(start & ~occupied):
            m.d.sync += starting.eq(1)
            self.accept_start(m, register, written)

    def accept_start(self, m, register, written):
        """Takes up what sort of job begins, under the conditions that hold here; by default there is one sort.

        Args:
            m (amaranth.hdl.Module): this block's module.
            register (Register): CONTROL.
            written (amaranth.hdl.Value): what is written to it.
        """

    def _read(self, m, values):
        """AR into a register, then which register it is, then a word of each group of registers, then R from these."""
        read_held = Signal()
        found = Signal()
        gathered = Signal()
        read_word = Signal(ADDRESS_WIDTH - 2)
        m.d.comb += self.s_axil.arready.eq(~read_held)
        with m.If(self.s_axil.arvalid & self.s_axil.arready):
            m.d.sync += [read_held.eq(1), read_word.eq(self.s_axil.araddr[2:])]

        is_read = _is_each(m, [*self.registers], read_word, "is_read")
        choices = [Mux(bit, values[register.name], 0) for bit, register in zip(is_read, self.registers)]
        groups = []
        for first in range(0, len(choices), _READ_GROUP):
            groups.append(Signal(DATA_WIDTH, name=f"read_group_{len(groups)}", reset_less=True))
            m.d.sync += groups[-1].eq(reduce(or_, choices[first : first + _READ_GROUP]))
        m.d.sync += [
            found.eq(read_held & ~found & ~gathered & ~self.s_axil.rvalid),
            gathered.eq(found),
        ]
        with m.If(gathered):
            m.d.sync += [
                self.s_axil.rvalid.eq(1),
                self.s_axil.rdata.eq(reduce(or_, groups)),
                self.s_axil.rresp.eq(Mux(is_read.any(), Response.OKAY, Response.SLVERR)),
            ]
        with m.If(self.s_axil.rvalid & self.s_axil.rready):
            m.d.sync += [self.s_axil.rvalid.eq(0), read_held.eq(0)]


def _value(register):
    """What a read of `register` gives: a constant, or a signal just wide enough for its values."""
    if register.access in (Access.CONSTANT, Access.PULSE, Access.WRITE_ONLY):
        return Const(register.reset, DATA_WIDTH)
    field = register.fields[0]
    shape = unsigned(register.mask.bit_length())
    if field.maximum is not None:
        shape = range(field.minimum, field.maximum + 1)
    return Signal(shape, init=field.reset, name=f"{register.name.lower()}_register")


def _is_each(m, registers, word, name):
    """One bit for each of `registers`: whether it is the one at `word`, a cycle later."""
    is_each = Signal(len(registers), name=name)
    m.d.sync += is_each.eq(Cat(word == register.offset >> 2 for register in registers))
    return is_each


def _limits(registers, is_written):
    """Least and most of what the register that is written may be given, and whether it is signed."""
    least, most, is_signed = -1 << DATA_WIDTH, (1 << DATA_WIDTH) - 1, 0
    for selected, register in zip(is_written, registers):
        field = register.fields[0]
        if register.access is Access.READ_WRITE and field.maximum is not None:
            least = Mux(selected, field.minimum, least)
            most = Mux(selected, field.maximum, most)
            is_signed = Mux(selected, field.signed, is_signed)
    return least, most, is_signed


def _commit(m, register, written, in_range, write_strobe, values, events, accepted):
    """Writes one register that is not CONTROL, under the conditions that hold where this is called."""
    value = values[register.name]
    field = register.fields[0]
    if register.access is Access.WRITE_ONE_TO_CLEAR:
        m.d.comb += accepted.eq(1)
        m.d.sync += value.eq(value & ~written)
    elif register.access is Access.WRITE_TO_CLEAR:
        m.d.comb += accepted.eq(1)
        with m.If(write_strobe.any()):
            m.d.sync += value.eq(events[register.name.removeprefix("COUNT_")])
    elif field.maximum is None:
        m.d.comb += accepted.eq(1)
        m.d.sync += value.eq(written & register.mask)
    else:
        m.d.comb += [accepted.eq(in_range), events["BAD_VALUE"].eq(~in_range)]
        with m.If(in_range):
            m.d.sync += value.eq(written)


def count_up(m, counter, event):
    """Counts `event`, 1 bit, up to the counter's maximum."""
    with m.If(event & ~counter.all()):
        m.d.sync += counter.eq(counter + 1)
