"""Blocks: components that are emitted as one Verilog module and instantiated wherever they are used.

Amaranth emits a submodule anew for every place that uses it: an array of 4,096 PEs becomes 4,096 modules. A *block*
is written once. `instantiate(m, name, component)` puts an `Instance` of the component's module into the parent and
connects it to the signals of the component object, so that the parent reads as if it held a plain submodule.
`gen.verilog` walks from the top over all blocks and emits each distinct one.

    m.submodules.pe = ...               # Amaranth: one more copy of the Verilog
    instantiate(m, "pe", self.pe)       # here: one more instance of module `pe`
"""

from amaranth.hdl import ClockSignal, Instance, ResetSignal
from amaranth.lib import wiring

__all__ = ["Block", "BlockInstance", "instantiate"]


class Block(wiring.Component):
    """A component with a Verilog module of its own.

    Attributes
    ----------
    module_name: name of the Verilog module; components of one name must be built alike (same `parameters`).
    reset_less: true if nothing in it is reset; the module then has no `rst` port.
    """

    module_name = None
    reset_less = False

    @property
    def parameters(self):
        """What distinguishes two components of one class: all of their attributes that are plain numbers."""
        return {key: value for key, value in vars(self).items() if isinstance(value, (int, str, tuple))}


class BlockInstance(Instance):
    """The instance of a block in its parent; `component` is the block."""

    def __init__(self, component, **ports):
        super().__init__(component.module_name, **ports)
        self.component = component


def instantiate(m, name, component, *, reset=None):
    """Adds `component` to module `m` as the instance `name`; returns the component.

    `reset` is the signal for its `rst` port, the parent's own reset if left out.
    """
    ports = {"i_clk": ClockSignal()}
    if not component.reset_less:
        ports["i_rst"] = ResetSignal() if reset is None else reset
    for path, member, value in component.signature.flatten(component):
        direction = "i" if member.flow == wiring.In else "o"
        ports[f"{direction}_{'__'.join(map(str, path))}"] = value
    m.submodules[name] = BlockInstance(component, **ports)
    return component
