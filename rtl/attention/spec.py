"""The specification of a kernel: what a configuration, the register map and a host have to know of it.

Nothing here is hardware. A kernel whose specification is in a module of its own, as that of Taylor attention is, can be
configured and checked without Amaranth.
"""

from dataclasses import dataclass

__all__ = ["JobRegister", "JobTable", "KernelSpec", "Told"]


@dataclass(frozen=True, kw_only=True)
class JobRegister:
    """A register of the next job that belongs to a kernel, and the port of the same name of `ControlStatus`.

    Attributes:
        name (str): small letters, digits and '_'; the register has the name in capitals.
        minimum (int): smallest value; the register is signed if it is negative.
        maximum (int): largest value.
        description (str): a phrase.
        words (int): registers NAME_0, NAME_1, ... of 32 bits that hold an unsigned value, lowest word first; 0 for a
            single register NAME.
    """

    name: str
    minimum: int
    maximum: int
    description: str
    words: int = 0


@dataclass(frozen=True, kw_only=True)
class JobTable:
    """A memory of constants that belongs to a kernel, which a host fills by one register while no job runs.

    Attributes:
        name (str): small letters, digits and '_'; the register has the name in capitals.
        entries (int): numbers of the table, at most 65536.
        width (int): bits of a number, without a sign, at most 16.
        description (str): a phrase.
    """

    name: str
    entries: int
    width: int
    description: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """A number of 8 bits that a host is told of a kernel, a field of a constant register.

    Attributes:
        attribute (str): name of the number, an attribute of the configuration and of the host's view.
        register (str): CONSTANT_WIDTHS (bits 23 to 0 are the kernel's) or SHIFT_LIMITS (bits 7 to 0 are).
        low (int): lowest bit.
        least (int): smallest value of the field that can be.
        most (int): largest value of the field that can be.
        description (str): a phrase.
        is_power (bool): the number is a power of two, and the field its binary logarithm.
    """

    attribute: str
    register: str
    low: int
    least: int
    most: int
    description: str
    is_power: bool = False

    @property
    def field(self):
        """Name of the field."""
        return self.attribute.upper()

    def encoded(self, number):
        """What the field has for `number`."""
        return number.bit_length() - 1 if self.is_power else number

    def decoded(self, value):
        """The number for which the field has `value`."""
        return 1 << value if self.is_power else value


class KernelSpec:
    """Widths, buffers and registers of a kernel, built for one configuration.

    Every public attribute is one of the configuration too: `config.streamed_width` is `config.spec.streamed_width`. So
    the blocks of a kernel ask the configuration alone. A new kernel derives its specification from this class, or from
    that of a kernel that it resembles.

    Args:
        config (AcceleratorConfig): the configuration.

    Attributes:
        hardware (str): the other half, an `rtl.attention.kernel.AttentionKernel`, as "module:Class".
        network_hardware (str): the kernel of a network accelerator, an `rtl.network.kernel.NetworkKernel`, likewise;
            empty if there is none.
        told (tuple[Told, ...]): numbers that a host is told beside those of every accelerator.
    """

    hardware: str
    network_hardware: str = ""
    told: tuple[Told, ...] = ()

    def __init__(self, config):
        self.config = config

    @staticmethod
    def job_registers(view):
        """Registers of a job besides TOKENS, HEAD_DIM, HEADS and TIMEOUT, in the order of their offsets.

        All together have up to 12 words.

        Args:
            view (AcceleratorConfig | HostView): has the fields of a configuration that a host is told, and `told`.

        Returns:
            tuple[JobRegister, ...]: the registers.
        """
        raise NotImplementedError

    @staticmethod
    def job_tables(view):
        """Memories of constants, each of which a host fills by one register; by default there is none.

        Args:
            view (AcceleratorConfig | HostView): as for `job_registers`, whose 12 words these registers are among.

        Returns:
            tuple[JobTable, ...]: the tables.
        """
        return ()

    @staticmethod
    def array_cycles(view, tokens, head_dim):
        """T_SA: cycles of array work a head.

        Args:
            view (AcceleratorConfig | HostView): has `rows` and `columns`.
            tokens (int): of the head.
            head_dim (int): features of the head.
        """
        raise NotImplementedError

    @staticmethod
    def ideal_cycles(view, tokens, head_dim):
        """Cycles a head if every PE of SA-General did a useful product every cycle; arguments as for `array_cycles`."""
        raise NotImplementedError

    @property
    def streamed_width(self):
        """Bits of the operand that moves right through the array, signed."""
        raise NotImplementedError

    @property
    def partial_sum_width(self):
        """Bits of the partial sums of SA-General, signed: every total fits."""
        raise NotImplementedError

    @property
    def diagonal_width(self):
        """Bits of the stationary operand of SA-Diag, signed."""
        raise NotImplementedError

    @property
    def diagonal_sum_width(self):
        """Bits of the partial sums of SA-Diag, signed: every total fits."""
        raise NotImplementedError

    @property
    def divider_iterations(self):
        """Quotient bits of one division, one a cycle."""
        raise NotImplementedError

    @property
    def row_distance(self):
        """Cycles between two rows that the array delivers for division, at the largest head dimension."""
        raise NotImplementedError

    @property
    def row_queue_depth(self):
        """Rows that may wait below the array for division."""
        raise NotImplementedError

    @property
    def numerator_shift_max(self):
        """Bits by which a numerator may enter the divider shifted left, for the largest SHIFT_Z."""
        return max(0, self.config.shift_z_max + 1 - self.config.data_width)

    @property
    def divisor_shift_max(self):
        """Bits by which a divisor may enter the divider shifted left, for the smallest SHIFT_Z."""
        return max(0, self.config.data_width - 1 - self.config.shift_z_min)

    @property
    def banks(self):
        """Memories of the buffers as built: name -> ((number of banks, words of each, bits of a word), ...)."""
        raise NotImplementedError

    def operand_rules(self, limit):
        """What has to hold so that both operands of every multiplier have at most `limit` bits.

        Args:
            limit (int): most bits of an operand.

        Returns:
            list[tuple[int, str, int, int]]: width of an operand, what decides it, the most that this may be, its value.
        """
        return [
            (width, f"{name}_width", limit, width)
            for name, width in (("streamed", self.streamed_width), ("diagonal", self.diagonal_width))
        ]
