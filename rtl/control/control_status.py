"""Control and status registers of the attention accelerator, behind AXI4-Lite.

The hardware side of `rtl.control.registers`; `rtl.control.register_block` has how registers are read and written.
"""

from amaranth.hdl import unsigned
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.table_write import TableWrite
from taylorvit.rtl.common.widths import up_to

from .register_block import RegisterBlock
from .registers import register_map

__all__ = ["ControlStatus"]


class ControlStatus(RegisterBlock):
    """Registers of the accelerator: AXI4-Lite on one side, the core on the other.

    Args:
        config (AcceleratorConfig): the whole configuration, which this block also reports to the host.

    Ports:
        s_axil, interrupt, start, soft_reset, timeout, busy: as in `rtl.control.register_block.RegisterBlock`.
        tokens (bits of max_tokens, output): tokens of a head.
        head_dim (bits of max_head_dim, output): features of a head.
        heads (bits of max_heads, output): heads of the job.
        NAME (as in the register, output): one port for each register of the kernel for a job
            (`rtl.attention.spec.JobRegister`).
        TABLE (TableWrite, output): one port for each table of the kernel (`rtl.attention.spec.JobTable`): an entry that
            has been written while no job runs.
        done (1 bit, input): pulse: the job is finished.
        head_done (1 bit, input): pulse: a head is finished.
        tlast_early (3 bits, input): pulses: a packet was too short; bit 0 for stream Q, 1 for K, 2 for V.
        tlast_late (3 bits, input): pulses: a packet was too long; likewise.
        input_timeout (1 bit, input): pulse: an input stream was given up.
        denominator_error (1 bit, input): pulse: a row had no positive denominator.
        array_busy (1 bit, input): counted in every cycle in which `busy` is high, like the next two.
        stall_input (1 bit, input): the array waits for an input stream.
        stall_output (1 bit, input): the array waits for the output stream.
    """

    module_name = "control_status"

    def __init__(self, config):
        self.config = config
        kernel = {register.name: _port_shape(register) for register in config.spec.job_registers(config)}
        self._tables = {table.name.upper(): table for table in config.spec.job_tables(config)}
        super().__init__(
            register_map(config),
            job_parameters=("tokens", "head_dim", "heads", *kernel),
            ports={
                "tokens": Out(config.max_tokens.bit_length()),
                "head_dim": Out(config.max_head_dim.bit_length()),
                "heads": Out(config.max_heads.bit_length()),
                **{name: Out(shape) for name, shape in kernel.items()},
                **{
                    table.name: Out(TableWrite(entries=table.entries, width=table.width))
                    for table in self._tables.values()
                },
                "timeout": Out(config.counter_width),
                "busy": In(1),
                "done": In(1),
                "head_done": In(1),
                "tlast_early": In(3),
                "tlast_late": In(3),
                "input_timeout": In(1),
                "denominator_error": In(1),
                "array_busy": In(1),
                "stall_input": In(1),
                "stall_output": In(1),
            },
        )

    @property
    def parameters(self):
        """What distinguishes two of these blocks: the configuration."""
        return self.config.to_mapping()

    def connect_more(self, m, values, starting):
        """An entry of a table is there for one cycle."""
        for table in self._tables.values():
            write = getattr(self, table.name)
            with m.If(write.valid):
                m.d.sync += write.valid.eq(0)

    def taken_word(self, m, register, word, values, events):
        """An entry of a table is taken while no job runs, if the table has it."""
        table = self._tables[register.name]
        write = getattr(self, table.name)
        value, entry = (word[register[name].low : register[name].high + 1] for name in ("VALUE", "ENTRY"))
        accepted = (entry < table.entries) & (value < 1 << table.width) & ~values["STATUS"]
        m.d.comb += events["BAD_VALUE"].eq(~accepted)
        m.d.sync += [write.valid.eq(accepted), write.entry.eq(entry), write.data.eq(value)]
        return accepted

    def happening(self):
        """Event -> its pulse."""
        return {
            "DONE": self.done,
            "INPUT_TIMEOUT": self.input_timeout,
            "DENOMINATOR": self.denominator_error,
            **{f"TLAST_EARLY_{stream}": self.tlast_early[bit] for bit, stream in enumerate("QKV")},
            **{f"TLAST_LATE_{stream}": self.tlast_late[bit] for bit, stream in enumerate("QKV")},
        }

    def counted(self):
        """Performance counter -> what it counts."""
        return {
            "CYCLES": self.busy,
            "ARRAY_BUSY": self.busy & self.array_busy,
            "STALL_INPUT": self.busy & self.stall_input,
            "STALL_OUTPUT": self.busy & self.stall_output,
            "HEADS_DONE": self.head_done,
        }


def _port_shape(register):
    """Shape of the port of a kernel's register."""
    if register.minimum < 0:
        return up_to(register.maximum, least=register.minimum)
    return unsigned(max(1, register.maximum.bit_length()))
