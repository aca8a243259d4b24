"""Registers of an accelerator in Python, for `verif.fpga.board_model`."""

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

    def reset_registers(self, registers):
        self.registers = registers
        self.values = {register.name: register.reset for register in registers}

    def raise_events(self, names):
        for name in names:
            self.values["EVENTS"] |= 1 << self.registers.events[name][0]

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
