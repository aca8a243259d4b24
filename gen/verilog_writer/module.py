"""A whole module: its items in the order of the netlist, then the declarations of what they turned out to need."""

from .cells import MEMORY_CELLS
from .choices import Choices
from .draft import Draft
from .expressions import Expressions
from .memories import write_memory_port
from .netlist import Netlist
from .registers import Registers
from .text import attribute_prefix, declaration, identifier, indent, wrap

__all__ = ["write_module"]


def write_module(module, ports, outputs, comment):
    """Verilog text of one module.

    Parameters
    ----------
    module: `gen.rtlil.Module`.
    ports: names of its ports, in the order in which they are to be written.
    outputs: names of the output ports of every module that may be instantiated: module name -> set of names.
    comment: a line to stand above it.

    Raises `ValueError` for a cell that cannot be written, and for a port whose name is a keyword.
    """
    netlist = Netlist(module, outputs)
    draft = Draft(netlist)
    expressions = Expressions(draft)
    choices = Choices(draft, expressions)
    registers = Registers(draft, expressions)

    for item in module.items:
        if isinstance(item, list):
            name = item[0].left[0].name
            if name in netlist.uses and name not in netlist.next_values:
                choices.write(name, item)
        elif item.kind == "$dff":
            registers.write(item)
        elif item.kind in MEMORY_CELLS:
            write_memory_port(item, draft, expressions)
        elif item.instance_of:
            _write_instance(item, draft, expressions)
        else:
            name = item.ports["Y"][0].name
            if name in netlist.uses and not expressions.is_written_where_used(name):
                draft.assign(draft.name(name), [expressions.operation(item, netlist.wires[name].width)])
    for left, right in module.connections:
        if left[0].name in netlist.uses:
            draft.assign(draft.name(left[0].name), [expressions.right_side(right)])
    registers.write_every_cycle()

    return _text(draft, ports, comment)


def _write_instance(cell, draft, expressions):
    """Writes an instance, its unused outputs left open. Only a vendor's cell has parameters and attributes."""
    outputs, uses = draft.netlist.outputs[cell.instance_of], draft.netlist.uses
    head = attribute_prefix(cell.attributes) + cell.instance_of
    if cell.parameters:
        values = {name: f'"{value}"' if isinstance(value, str) else value for name, value in cell.parameters.items()}
        head += f" #({', '.join(f'.{name}({value})' for name, value in values.items())})"
    lines = []
    for port, bits in cell.ports.items():
        is_open = port in outputs and bits[0].name not in uses
        lines.append(f"    .{port}({'' if is_open else expressions.bits(bits)}),")
    lines[-1] = lines[-1].removesuffix(",")
    draft.blocks.append([f"{head} {identifier(cell.name)} (", *lines, ");"])


def _text(draft, ports, comment):
    heads = []
    for port in ports:
        wire = draft.netlist.wires[f"\\{port}"]
        kind = f"{wire.direction:6} {draft.kind(wire):4}"
        heads.append(declaration(kind, wire.width, port, wire.signed, draft.init(wire)))
    lines = [
        f"// {comment}",
        f"module {draft.netlist.module.name} (",
        *indent([f"{head}," for head in heads[:-1]] + heads[-1:]),
        ");",
        *indent(draft.all_declarations()),
    ]
    for block in draft.blocks:
        # What takes more than a line stands apart.
        lines += ["", *indent(block)] if len(block) > 1 else indent(block)
    return "\n".join([*(wrapped for line in lines for wrapped in wrap(line)), "endmodule", ""])
