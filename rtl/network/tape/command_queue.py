"""Command queue: commands that wait for the engine."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.network.bundles import COMMAND_BITS

__all__ = ["CommandQueue"]


class CommandQueue(Block):
    """Holds two commands: one that the engine looks at, and one behind it.

    A command is a register of 512 bits, so there are no more than keep the tape moving: the engine has a product of
    its own, and the decoder assembles another one.

    Ports:
        room (1 bit, output): a command can be put in.
        put (1 bit, input): one is put in, only with `room`.
        incoming (COMMAND_BITS, input): it.
        command (COMMAND_BITS, output): the oldest one.
        command_valid (1 bit, output): there is one.
        command_taken (1 bit, input): it is taken in this cycle, in which it is valid.
    """

    module_name = "command_queue"

    def __init__(self):
        super().__init__(
            {
                "room": Out(1),
                "put": In(1),
                "incoming": In(COMMAND_BITS),
                "command": Out(COMMAND_BITS),
                "command_valid": Out(1),
                "command_taken": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        behind = Signal(COMMAND_BITS, reset_less=True)
        behind_valid = Signal()
        m.d.comb += self.room.eq(~behind_valid)
        with m.If(~self.command_valid | self.command_taken):
            m.d.sync += [self.command_valid.eq(behind_valid | self.put), behind_valid.eq(0)]
            with m.If(behind_valid):
                m.d.sync += self.command.eq(behind)
            with m.Elif(self.put):
                m.d.sync += self.command.eq(self.incoming)
        with m.Elif(self.put):
            m.d.sync += [behind.eq(self.incoming), behind_valid.eq(1)]
        return m
