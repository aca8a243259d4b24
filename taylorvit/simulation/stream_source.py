"""A source of an AXI4-Stream that sleeps while its beat is not taken.

`cocotbext.axi.AxiStreamSource` looks at ready after every clock edge. An accelerator takes its operands early and then
waits for the array, so that its sources looked in vain in nine of ten cycles, for most of a simulation's time.
"""

from __future__ import annotations

from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiStreamSource

__all__ = ["StreamSource"]


class StreamSource(AxiStreamSource):
    """An `AxiStreamSource` that sends the same beats in the same cycles, of a stream that has valid and ready.

    With a pause generator a pause may begin or end one cycle later: both are resumed at the same edge, in either order.
    """

    async def _run(self):
        """What the library's coroutine does, without the clock edges at which a beat waits for ready."""
        edge, ready_rises = RisingEdge(self.clock), RisingEdge(self.bus.tready)
        valid, ready = self.bus.tvalid, self.bus.tready
        steps = super()._run()
        try:
            while True:
                trigger = steps.send(None)
                await trigger
                while trigger is edge and valid.value and not ready.value:
                    await ready_rises
                    await edge
        finally:
            steps.close()
