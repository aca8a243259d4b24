"""Blocks: components that are emitted as one Verilog module and instantiated wherever they are used.

Amaranth emits a submodule again for every place that uses it: an array of 4,096 PEs becomes 4,096 modules. A *block*
is emitted once. One component object stands for all of its instances: `instantiate(m, name, component)` adds an
`Instance` of its module to the parent and returns a new interface, connected to the ports of that instance.
`gen.verilog` walks from the top over all blocks and emits each distinct one.

    pe = MultiplyAccumulate(...)
    left, right = instantiate(m, "left", pe), instantiate(m, "right", pe)
    m.d.comb += right.streamed_in.eq(left.streamed_out)
"""

from types import MappingProxyType

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring

__all__ = ["Block", "BlockInstance", "ForeignBlock", "instantiate"]


class Block(wiring.Component):
    """A component with a Verilog module of its own.

    Attributes:
        module_name (str): name of the Verilog module; components of one name must be built alike (same `parameters`).
        clocked (bool): false if the block has no register of its own. The module then has neither `clk` nor `rst`, and
            makes the clock domain that its instances need, if any.
        reset_less (bool): true if nothing in the block is reset; the module then has no `rst` port.
        prefix (str): of a top level, what stands in front of the names of all modules below it.
        pads (Mapping[str, IOPort]): ports in both directions, by their names: pins of the FPGA. They are the last
            ports of the module, and go through its parents up to the top.
        waivers (Mapping[tuple[str, str], str]): warnings of Verilator that are as intended: (rule, pattern of names) ->
            the reason, a sentence. The names are those of the block's signals, for PINMISSING of the cells in it, and
            for PINCONNECTEMPTY of its outputs that a parent may leave open. Each waiver stands in the Verilog where it
            is needed.
    """

    module_name = ""
    clocked = True
    reset_less = False
    prefix = ""
    pads = MappingProxyType({})
    waivers = MappingProxyType({})
    _MustUse__silence = True  # a second component of a module that is emitted already is never elaborated

    @property
    def parameters(self):
        """What distinguishes two components of one class: the shapes of their ports and their plain attributes."""
        ports = {name: repr(member.shape) for name, member, _value in self.flat_ports()}
        plain = {
            key: value
            for key, value in vars(self).items()
            if not key.startswith("_") and isinstance(value, (int, str, tuple))
        }
        return ports | plain

    def flat_ports(self, interface=None):
        """The ports of the module, in their order.

        Args:
            interface (object): an interface of this block's signature, as `instantiate` returns it; the block itself
                if left out.

        Yields:
            tuple: name in the Verilog, `amaranth.lib.wiring.Member`, and the value of the port in `interface`.
        """
        own = self.signature.flatten(self)
        values = self.signature.flatten(self if interface is None else interface)
        for (_path, member, port), (_path, _member, value) in zip(own, values):
            yield Value.cast(port).name, member, Value.cast(value)


class ForeignBlock(Block):
    """A block whose Verilog another program writes.

    Attributes:
        verilog (str): the text of its module, and of those below it. Its ports are `clk` and `rst`, as far as the
            block has them, then those of `flat_ports`.
    """

    verilog = ""

    def elaborate(self, platform):
        return Module()


class BlockInstance(Instance):
    """The instance of a block in its parent; `component` is the block."""

    def __init__(self, component, **ports):
        super().__init__(component.module_name, **ports)
        self.component = component


def instantiate(m, name, component, *, reset=None, pads=MappingProxyType({})):
    """Adds an instance of a block to a module.

    Args:
        m (amaranth.hdl.Module): the module that holds the instance.
        name (str): name of the instance.
        component (Block): the block.
        reset (amaranth.hdl.Value | None): what is connected to the `rst` port; the parent's own reset if left out.
        pads (Mapping[str, IOPort]): what is connected to each of the component's `pads`, by name.

    Returns:
        object: the interface to the ports of the instance, of the signature of the block.
    """
    interface = component.signature.create(path=(name,))
    ports = {}
    if component.clocked:
        ports["i_clk"] = ClockSignal()
    if component.clocked and not component.reset_less:
        ports["i_rst"] = ResetSignal() if reset is None else reset
    for port, member, value in component.flat_ports(interface):
        ports[f"{'i' if member.flow == wiring.In else 'o'}_{port}"] = value
    ports |= {f"io_{port}": pads[port] for port in component.pads}
    m.submodules[name] = BlockInstance(component, **ports)
    return interface
