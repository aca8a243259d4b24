"""SDR SDRAM chips: their size, and how long they take; from their data sheets.

Times of a chip are in nanoseconds. `SdramTiming` makes cycles of them, once, for all that need them: controller,
initialization, and the model that a simulation has in the chip's place.
"""

from dataclasses import dataclass
from math import ceil, floor

__all__ = ["CHIPS", "SdramChip", "SdramTiming"]


@dataclass(frozen=True, kw_only=True)
class SdramChip:
    """An SDR SDRAM.

    Attributes:
        name (str): what a board's file calls it.
        bank_bits (int): logarithm of its banks.
        row_bits (int): bits of a row's address.
        column_bits (int): bits of a column's address.
        data_width (int): bits of a column.
        precharge (float): tRP, from closing a row to opening one or a refresh, in ns; all times are the least ones.
        activate (float): tRCD, from opening a row to a read or write.
        active (float): tRAS, from opening a row to closing it.
        row_cycle (float): tRC, between rows of a bank.
        row_to_row (float): tRRD, between rows of different banks.
        refresh_cycle (float): tRFC, of a refresh.
        write_recovery (float): tWR, from the last data written to closing the row.
        mode_cycles (int): tMRD, from setting the mode to the next command, in cycles.
        refresh_interval (float): tREFI, between refreshes on average, in ns.
        start (float): from power-up to the first command, in ns.
        access (float): tAC, from the clock's edge to the data of a read with a latency of two cycles.
        hold (float): tOH, for how long after the next edge these data stay.
        setup (float): of commands, addresses and data before the clock's edge.
        input_hold (float): of the same behind it.
        most_hz (int): the clock's most, with a read latency of two cycles.
    """

    name: str
    bank_bits: int = 2
    row_bits: int = 13
    column_bits: int
    data_width: int = 16
    precharge: float
    activate: float
    active: float
    row_cycle: float
    row_to_row: float
    refresh_cycle: float
    write_recovery: float
    mode_cycles: int = 2
    refresh_interval: float
    start: float = 200_000
    access: float
    hold: float
    setup: float = 1.5
    input_hold: float = 1.0
    most_hz: int = 100_000_000

    @property
    def bytes(self):
        """Its size."""
        return 1 << self.address_width

    @property
    def address_width(self):
        """Bits of the address of a byte."""
        return self.bank_bits + self.row_bits + self.column_bits + (self.data_width // 8 - 1).bit_length()

    @property
    def address_pins(self):
        """Pins for addresses of rows and columns; the eleventh says what a command beside an address is for."""
        return max(self.row_bits, self.column_bits, 11)


# The MT48LC16M16A2-75 is the slowest of the chips of its size that boards have (IS42S16160, W9825G6, AS4C16M16), so its
# times suit all of them. AS4C32M16 is the -7.
_CHIPS = (
    SdramChip(
        name="MT48LC16M16",
        column_bits=9,
        precharge=20,
        activate=20,
        active=44,
        row_cycle=66,
        row_to_row=15,
        refresh_cycle=66,
        write_recovery=15,
        refresh_interval=64e6 / 8192,
        start=100_000,
        access=6.0,
        hold=2.7,
        input_hold=0.8,
    ),
    SdramChip(
        name="AS4C32M16",
        column_bits=10,
        precharge=21,
        activate=21,
        active=42,
        row_cycle=63,
        row_to_row=14,
        refresh_cycle=63,
        write_recovery=14,
        refresh_interval=64e6 / 8192,
        access=6.0,
        hold=2.5,
    ),
)

#: Name in a board's file -> chip.
CHIPS = {chip.name: chip for chip in _CHIPS}


@dataclass(frozen=True)
class SdramTiming:
    """A chip at a clock: its times in cycles.

    Attributes:
        chip (SdramChip): the chip.
        clock_hz (int): the clock of controller and chip.
        late (int): cycles that data of a read come later at the FPGA than with a clock that is early enough
            (`fpga.memory.phase`), 0 or 1.
    """

    chip: SdramChip
    clock_hz: int
    late: int = 0

    #: From a read to its data at the chip, the least that chips know.
    cas_latency = 2
    #: Of these most chips want two, some eight.
    start_refreshes = 8

    def cycles(self, nanoseconds):
        """The least number of cycles that take at least so long.

        Args:
            nanoseconds (float): the time.

        Returns:
            int: cycles.
        """
        return ceil(round(nanoseconds * self.clock_hz / 1e9, 6))

    @property
    def refresh_cycles(self):
        """Cycles from one refresh to the next, at most."""
        return floor(self.chip.refresh_interval * self.clock_hz / 1e9)

    @property
    def read_latency(self):
        """Cycles from a read's command to its data, a register for each on the way."""
        return 1 + self.cas_latency + self.late
