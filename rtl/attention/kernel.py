"""The hardware half of a kernel: the seam between the accelerator and what is computed from Q, K and V.

            q, k, v                                                       z
    loader ---------> [ kernel: operand rows --> array --> columns ] ---------> sender
       |  ^   loaded, released      |       ^                            |  ^   head_ready, sent
       v  |                         v       | job registers              v  |
    ----------------------- job control, control and status -----------------------

The accelerator owns what every kernel needs: registers, job control, the loaders of the three operand streams, the
sender of Z, and the resets. A kernel owns everything between loaders and sender, the systolic array included. The two
meet in an `AttentionKernel`, in this order:

1. The accelerator builds the kernel for its configuration. The kernel makes its blocks and says how the operands are
   banked (`banking`) and how fast its Z banks answer (`z_latency`); loaders and sender are built for that.
2. In `elaborate` it asks the kernel to `place` an instance of each of its blocks.
3. It asks the kernel to connect them with each other and with an `Outside`: `connect_job`, sizes and constants of a
   job; `connect_data`, operands, sums and results; `connect_control`, which head is where, and what the kernel does.

What a kernel may assume: the signals of `Outside.registers` and the shifts of `Outside.job` are constant from the
cycle of `start` to the next one; no entry of a table comes while a job runs; heads come in order, each stream for
itself; a loader holds two heads, of which it tells the older one by `loaded` and keeps it until `released`; the sender
reads Z at addresses {half, column tile, token}, `z_latency` cycles ahead, from the half that `head_ready` announced,
and gives it back with `sent`. An entry of a table may be on its way through the kernel when a soft reset comes: no
reset may stop it.

What it has to give: `loader.released`, one bit a reader; `sender.z_data` and `sender.head_ready`; the `KernelStatus`,
whose levels are exact to the cycle. Nothing of it may depend on what a stream carries outside of a head. Registers
that a soft reset must clear get the end of a reset line, `Outside.resets.line(name)`.
"""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Value

from taylorvit.rtl.array.systolic_array import SystolicArray
from taylorvit.rtl.common.bus import connect

__all__ = ["AttentionKernel", "Banking", "KernelStatus", "Outside", "carry", "chain"]


@dataclass(frozen=True, kw_only=True)
class Banking:
    """How an operand lies in the banks of a kernel (`rtl.streams.stream_loader.StreamLoader`).

    Attributes:
        banks (int): number of banks.
        by (str): "feature" or "token": what is dealt out to the banks in turn.
        readers (int): units that read each head, and release it on their own.
    """

    banks: int
    by: str
    readers: int = 1


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What is around a kernel: the interfaces of the accelerator's own instances.

    Attributes:
        registers: the instance of `ControlStatus`: `start`, sizes of the job, and the kernel's registers by name.
        job: the instance of `JobControl`: `numerator_shift` and `divisor_shift`, which follow from `shift_z`.
        loaders: the instances of `StreamLoader` by operand, "q", "k" and "v".
        sender: the instance of `StreamSender`.
        resets: reset lines by name.
    """

    registers: Any
    job: Any
    loaders: dict[str, Any]
    sender: Any
    resets: Any


@dataclass(frozen=True, kw_only=True)
class KernelStatus:
    """What a kernel tells job control and the host.

    Attributes:
        array_busy: the array gets an operand in this cycle.
        stall_input: it does not, since operands are missing.
        stall_output: it does not, since results cannot leave.
        denominator_error: pulse, a row has no divisor: it is not positive.
    """

    array_busy: Value
    stall_input: Value
    stall_output: Value
    denominator_error: Value


class AttentionKernel:
    """Base of the kernels: everything between the loaders and the sender.

    Args:
        config (AcceleratorConfig): the configuration; `config.spec` is the other half of this kernel.

    Attributes:
        array (SystolicArray): the array, of the widths that the specification says.
    """

    def __init__(self, config):
        self.config = config
        self.array = SystolicArray(
            rows=config.rows,
            columns=config.columns,
            streamed_width=config.streamed_width,
            stationary_width=config.data_width,
            sum_width=config.partial_sum_width,
            diagonal_width=config.diagonal_width,
            diagonal_sum_width=config.diagonal_sum_width,
            pipeline=config.pe_pipeline,
            multiplier=config.multiplier,
            booth_columns=config.booth_columns,
            pe=config.pe,
        )

    @property
    def banking(self):
        """How the operands lie in the banks: "q", "k", "v" -> `Banking`."""
        raise NotImplementedError

    @property
    def z_latency(self):
        """Cycles from an address of the sender to the elements of Z of all columns."""
        raise NotImplementedError

    @property
    def turnaround(self):
        """Cycles beside the array's work before something of one head can be the array's work again."""
        raise NotImplementedError

    def sustains(self, tokens, head_dim):
        """Whether heads are sure to follow each other in `config.array_cycles(tokens, head_dim)` cycles.

        Args:
            tokens (int): of each head.
            head_dim (int): features of each head.
        """
        raise NotImplementedError

    def shift_z(self, registers):
        """The left shift of the numerators, by which job control aligns the divider: 0 unless a kernel has another.

        Args:
            registers: the instance of `ControlStatus`.

        Returns:
            Value: shift_z_min to shift_z_max of the configuration, constant during a job.
        """
        return Const(0)

    def place(self, place):
        """Makes the instances of the kernel's blocks.

        Args:
            place (Callable[[str, Block], Any]): adds an instance of a block under a name, with a reset line of its own,
                and returns its interface.

        Returns:
            The interfaces, in whatever form `connect` takes them.
        """
        raise NotImplementedError

    def connect_job(self, m, units, outside):
        """Connects the sizes and constants of the job.

        Args:
            m (Module): the accelerator's module.
            units: what `place` returned.
            outside (Outside): the interfaces around the kernel.
        """
        raise NotImplementedError

    def connect_data(self, m, units, outside):
        """Connects operands, sums and results; arguments as for `connect_job`."""
        raise NotImplementedError

    def connect_control(self, m, units, outside):
        """Connects the pulses that say which head is where; arguments as for `connect_job`.

        Returns:
            KernelStatus: what the kernel does.
        """
        raise NotImplementedError


def chain(m, source, members, name):
    """Connects `source` to the first member's `<name>_in`, and each `<name>_out` to the next one's.

    Args:
        m (Module): the module of all of them.
        source: an interface.
        members: the instances, in the order of the chain.
        name (str): of the bundle.
    """
    for member in members:
        connect(m, source, getattr(member, f"{name}_in"))
        source = getattr(member, f"{name}_out")


def carry(m, members, **numbers):
    """As `chain`, for plain numbers.

    Args:
        m (Module): the module of all of them.
        members: the instances, in the order of the chain.
        **numbers (Value): <name>=number, for the first member.
    """
    for member in members:
        m.d.comb += [getattr(member, f"{name}_in").eq(number) for name, number in numbers.items()]
        numbers = {name: getattr(member, f"{name}_out") for name in numbers}
