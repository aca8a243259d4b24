"""Registers of an accelerator in Python, for `verif.fpga.board_model`."""

from collections import deque

from taylorvit.rtl.control.description import Access

__all__ = ["RegisterModel"]

MODULUS = 1 << 32


class RegisterModel:
    """Registers, and what every accelerator has of a job.

    Args:
        config: the accelerator's configuration.
        compute_seconds: from the last byte of a head or an image to its first result.

    Tests may set `results_withheld`, nothing is given back; `events_to_raise`, at the end of each job.
    """

    def __init__(self, config, compute_seconds):
        self.config = config
        self.compute_seconds = compute_seconds
        self.results_withheld = False
        self.events_to_raise = set()
        self.clock_hz = 100_000_000
        self.now = 0.0  # by the board's clock, when a register is accessed

    items: str
    """The register that says how many heads or images a job has."""

    def reset_registers(self, registers):
        self.computed: deque[tuple[float, bytes]] = deque()  # when, and the bytes of an item's results
        self.finished = 0  # items, of the running or last job
        self.registers = registers
        self.values = {register.name: register.reset for register in registers}

    def raise_events(self, names):
        for name in names:
            self.values["EVENTS"] |= 1 << self.registers.events[name][0]

    def counted(self):
        """Values of the counters when another item is finished."""
        raise NotImplementedError

    def give(self, results: bytearray, size: int, moment: float) -> None:
        """Results that are ready into their buffer."""
        while self.computed and self.computed[0][0] <= moment and not self.results_withheld:
            when, data = self.computed.popleft()
            space = size - len(results)
            results += data[:space]
            if data[space:]:
                self.computed.appendleft((when, data[space:]))
                return
            self.finished += 1
            self.values |= self.counted()
            if self.finished == self.values[self.items]:
                self.values["STATUS"] = 0
                self.raise_events({"DONE"} | self.events_to_raise)

    def control(self, data):
        """Carries out a write of CONTROL."""
        raise NotImplementedError

    def read(self, address: int) -> int | None:
        for register in self.registers:
            if register.offset == address:
                return self.values[register.name] & 0xFFFFFFFF
        return None

    def write(self, address: int, data: int) -> str | None:
        for register in self.registers:
            if register.offset == address:
                break
        else:
            return None
        if not register.access.writable:
            return None
        if register.access is Access.READ_WRITE and len(register.fields) == 1:
            (parameter,) = register.fields
            value = data - MODULUS if parameter.signed and data >> 31 else data
            if parameter.minimum is not None and not parameter.minimum <= value <= parameter.maximum:
                return None
        if register.access is Access.WRITE_ONE_TO_CLEAR:
            self.values[register.name] &= ~data
        elif register.name == "CONTROL":
            self.control(data)
        else:
            self.values[register.name] = data
        return register.name
