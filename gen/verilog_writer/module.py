"""A whole module: its items in the order of the netlist, then the declarations of what they turned out to need."""

from types import MappingProxyType

from .cells import MEMORY_CELLS
from .choices import Choices
from .draft import Draft
from .expressions import Expressions
from .memories import write_memory_port
from .netlist import Netlist
from .registers import Registers
from .simplify import simplify
from .text import attribute_prefix, headed, identifier, indent, wrap
from .waivers import MISSING, OPEN, Waivers, with_waivers

__all__ = ["write_module"]


def write_module(module, ports, outputs, comment, waivers=MappingProxyType({})):
    """Verilog text of one module.

    Args:
        module (gen.rtlil.Module): the module.
        ports (list[str]): names of its ports, in the order in which they are to be written.
        outputs (dict[str, set[str]]): names of the output ports of every module that may be instantiated, by the name
            of the module.
        comment (str): a line to stand above it.
        waivers (dict[str, dict]): `rtl.common.block.Block.waivers` of every such module and of this one, by the name
            of the module.

    Returns:
        str: the text, with a newline at its end.

    Raises:
        ValueError: a cell cannot be written, or the name of a port or an instance is a keyword.
    """
    module = simplify(module)
    netlist = Netlist(module, outputs)
    draft = Draft(netlist, waivers.get(module.name, {}))
    expressions = Expressions(draft)
    choices = Choices(draft, expressions)
    registers = Registers(draft, expressions)

    for item in module.items:
        if isinstance(item, list):
            name = item[0].left[0].name
            if name in netlist.uses and name not in netlist.next_values:
                choices.write(name, item)
        elif item.kind == "$dff":
            if item.ports["Q"][0].name in netlist.uses:
                registers.write(item)
        elif item.kind in MEMORY_CELLS:
            write_memory_port(item, draft, expressions)
        elif item.instance_of:
            _write_instance(item, draft, expressions, Waivers(waivers.get(item.instance_of, {})))
        else:
            name = item.ports["Y"][0].name
            if name in netlist.uses and not expressions.is_written_where_used(name):
                draft.assign(draft.name(name), [expressions.operation(item, netlist.wires[name].width)])
    for left, right in module.connections:
        if left[0].name in netlist.uses:
            draft.assign(draft.name(left[0].name), [expressions.right_side(right)])
    registers.write_every_cycle()

    return _text(draft, ports, comment)


def _write_instance(cell, draft, expressions, waivers):
    """Writes an instance, its unused outputs left open. Only a vendor's cell has parameters and attributes."""
    outputs, uses = draft.netlist.outputs[cell.instance_of], draft.netlist.uses
    head = attribute_prefix(cell.attributes) + cell.instance_of
    if cell.parameters:
        values = {name: f'"{value}"' if isinstance(value, str) else value for name, value in cell.parameters.items()}
        head += f" #({', '.join(f'.{name}({value})' for name, value in values.items())})"
    connected, left_open = [], []
    for port, bits in cell.ports.items():
        if port not in outputs:
            connected.append((f"    .{port}({expressions.bits(bits)}),", None))
        elif bits[0].name in uses:
            connected.append((f"    .{port}({draft.name(bits[0].name)}),", None))
        else:
            left_open.append((f"    .{port}(),", waivers.find(OPEN, port)))
    pins = with_waivers(_without_last_comma(connected + left_open))
    waiver = draft.waivers.find(MISSING, identifier(cell.name))
    lines = [(line, waiver) for line in (f"{head} {identifier(cell.name)} (", *pins, ");")]
    draft.blocks.append(with_waivers(lines))


def _without_last_comma(lines):
    last, waiver = lines[-1]
    return [*lines[:-1], (last.removesuffix(","), waiver)]


def _text(draft, ports, comment):
    lines = [
        f"// {comment}",
        f"module {draft.netlist.module.name} (",
        *indent(with_waivers(_without_last_comma(draft.ports(ports)))),
        ");",
        *indent(with_waivers(draft.all_declarations())),
    ]
    if power_up := draft.power_up():
        lines += indent([f"initial {power_up[0]}"] if len(power_up) == 1 else headed("initial ", power_up))
    for block in draft.blocks:
        # What takes more than a line stands apart.
        lines += ["", *indent(block)] if len(block) > 1 else indent(block)
    return "\n".join([*(wrapped for line in lines for wrapped in wrap(line)), "endmodule", ""])
