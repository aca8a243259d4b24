"""Kernel row: what every attention kernel has in each row of the array, a bank whose words are streamed.

feed -----> [bank] --> word --.
side -----------------------(kernel)--> streamed
operand ----------------------'
"""

from amaranth.hdl import signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay

from .bundles import StreamControl
from .command import Source

__all__ = ["KernelRow"]


class KernelRow(Block):
    """Base of the rows of kernels; what becomes of a word is in the kernel's own class.

    Args:
        config (NetworkConfig): the configuration.
        depth (int): words of the bank.
        width (int): bits of a word.
        side (Signature): what goes down the rows.
        feed (Signature): what is written into the row.

    Ports:
        control (StreamControl): what to stream.
        operand (8 bits signed, input): the activation or pixel, `memory_latency` cycles after `control`.
        streamed (streamed_width bits signed, output): for the array, `latency` cycles after `control`.
        side_in, side_out, feed: as the arguments say; the side is passed on one cycle later.
    """

    module_name = "kernel_row"
    waivers = {("UNUSEDSIGNAL", "control__*"): "A row needs to know source and address."}

    def __init__(self, config, *, depth, width, side, feed):
        self.bank = MemoryBank(depth=depth, width=width, pipeline=config.memory_pipeline, kind=config.kernel_memory)
        super().__init__(
            {
                "control": In(StreamControl(config)),
                "operand": In(signed(config.data_width)),
                "streamed": Out(signed(config.streamed_width)),
                "side_in": In(side),
                "side_out": Out(side),
                "feed": In(feed),
            }
        )

    @property
    def memory_latency(self):
        """Cycles from `control` to the word of the bank, to `operand` and to what the side says of the word."""
        return self.bank.latency

    def streams_word(self, m, name):
        """Whether a word of the bank is streamed, and not the operand: in the cycle of both.

        Args:
            m (Module): the row's module.
            name (str): name of the registers.
        """
        return delay(m, (self.control.source == Source.KERNEL) & ~self.control.blank, self.memory_latency, name)
