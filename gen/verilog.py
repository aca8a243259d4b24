"""Verilog of a block and of every block below it, each module once.

The blocks are collected from the top by walking the elaborated fragments. Amaranth converts each to RTLIL, and
`gen.verilog_writer` writes that as Verilog.
"""

import ast
import gc
import inspect
import sys
import textwrap
from contextlib import contextmanager, suppress
from typing import cast

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Fragment, Instance
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

from taylorvit.rtl import __version__
from taylorvit.rtl.common.block import Block, BlockInstance, ForeignBlock

from .rtlil import Cell, parse
from .verilog_writer import write_module

__all__ = ["blocks", "emit", "emit_with_blocks", "instances"]

#: What Verilator is not to say of Verilog that another program writes: matters of style.
_FOREIGN_STYLE = ("COMBDLY", "PROCASSINIT", "UNUSEDSIGNAL", "WIDTHEXPAND", "WIDTHTRUNC")


def blocks(component):
    """The distinct blocks of a design.

    Args:
        component (Block): the top, an `rtl.common.block.Block`.

    Returns:
        list[Block]: the top, then the blocks below it, in the order in which they are met.

    Raises:
        ValueError: two blocks of one module name were built with different parameters.
    """
    return [block for block, _fragment, _ports in _elaborate_all(component)]


def emit(component: Block) -> str:
    """The Verilog of a block and of all blocks below it, as one text.

    Args:
        component (Block): the top, an `rtl.common.block.Block`. The modules below it are named with its `prefix`.

    Returns:
        str: a heading with the configuration, then the modules in the order of `blocks`. The same component gives the
        same text, to the byte.

    Raises:
        ValueError: two blocks of one module name were built with different parameters, or something in a block cannot
            be written (`gen.verilog_writer`).
    """
    return emit_with_blocks(component)[0]


def emit_with_blocks(component):
    """The text that `emit` returns, and the blocks that are in it.

    Args:
        component (Block): the top, as in `emit`.

    Returns:
        tuple[str, dict[str, Block]]: the Verilog, and every block by the name of its module in the Verilog.

    Raises:
        ValueError: as in `emit`.
    """
    texts = [_heading(component)]
    with _without_garbage_collection():
        modules = _elaborate_all(component)
        names = {block.module_name: f"{component.prefix}{block.module_name}" for block, _fragment, _ports in modules}
        names |= {block.module_name: block.module_name for block in (component, *_foreign(modules))}
        outputs = {
            names[block.module_name]: {name for name, (_value, flow) in ports.items() if flow is PortDirection.Output}
            for block, _fragment, ports in modules
        }
        waivers = {names[block.module_name]: block.waivers for block, _fragment, _ports in modules}
        for _block, fragment, _ports in modules:
            for cell in _vendor_cells(fragment):
                given = {name for name, (_value, direction) in cell.ports.items() if direction == "o"}
                outputs.setdefault(cell.type, set()).update(given)
        for block, fragment, ports in modules:
            if isinstance(block, ForeignBlock):
                continue
            text, _names = rtlil.convert_fragment(fragment, ports, block.module_name, emit_src=False)
            module = _renamed(parse(text), names)
            texts.append(write_module(module, list(ports), outputs, _purpose(type(block)), waivers))
        texts += [_fenced(block) for block in _foreign(modules)]
    texts.append("// verilator lint_on DECLFILENAME\n")
    return "\n".join(texts), {names[block.module_name]: block for block, _fragment, _ports in modules}


def _foreign(modules):
    return [block for block, _fragment, _ports in modules if isinstance(block, ForeignBlock)]


def _fenced(block):
    """The Verilog of another program, about whose style Verilator has nothing to say."""
    rules = [f"// verilator lint_{{}} {rule}" for rule in _FOREIGN_STYLE]
    off, on = ([rule.format(switch) for rule in rules] for switch in ("off", "on"))
    return "\n".join([f"// {_purpose(type(block))}", *off, block.verilog.rstrip("\n"), *on, ""])


def _renamed(module, names):
    """The module with its own name and those of the blocks in it replaced."""
    module.name = names[module.name]
    for item in module.items:
        if isinstance(item, Cell) and item.instance_of in names:
            item.kind = f"\\{names[item.instance_of]}"
    return module


@contextmanager
def _without_garbage_collection():
    """Millions of small objects live until the end: looking for garbage among them takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _elaborate_all(component):
    found: dict = {}  # module name -> (block, fragment, ports)
    waiting = [component]
    while waiting:
        block = waiting.pop(0)
        known = found.get(block.module_name)
        if known is None:
            fragment, ports = _elaborate(block)
            found[block.module_name] = (block, fragment, ports)
            waiting.extend(child for _name, child in _named_children(fragment))
        elif known[0].parameters != block.parameters:
            raise ValueError(
                f"module name must be unique to one set of parameters, not {block.module_name!r} for both "
                f"{known[0].parameters} and {block.parameters}"
            )
    return list(found.values())


def _elaborate(component):
    fragment = Fragment.get(component, None)
    ports = {}
    if component.clocked:
        domain = ClockDomain("sync", reset_less=component.reset_less)
        fragment.add_domains(domain)
        ports["clk"] = (domain.clk, PortDirection.Input)
        if not component.reset_less:
            ports["rst"] = (domain.rst, PortDirection.Input)
    for name, member, value in component.flat_ports():
        ports[name] = (value, PortDirection.Input if member.flow == wiring.In else PortDirection.Output)
    for name, pad in component.pads.items():
        ports[name] = (pad, PortDirection.Inout)
    return fragment, ports


def instances(component):
    """Every instance of a block below a block.

    Args:
        component (Block): the top, an `rtl.common.block.Block`.

    Returns:
        list[tuple[str, Block]]: path and block of each instance; the path is that of a flattened netlist, `a.b.c`.
    """
    children = {
        block.module_name: list(_named_children(fragment)) for block, fragment, _ports in _elaborate_all(component)
    }

    def below(block, path):
        for name, child in children[block.module_name]:
            yield f"{path}{name}", child
            yield from below(child, f"{path}{name}.")

    return list(below(component, ""))


def _named_children(fragment):
    for subfragment, name, _src_loc in fragment.subfragments:
        if isinstance(subfragment, BlockInstance):
            yield name, subfragment.component
        else:
            yield from _named_children(subfragment)


def _vendor_cells(fragment):
    """The instances of a fragment that are no blocks: cells of an FPGA family."""
    for subfragment, _name, _src_loc in fragment.subfragments:
        if not isinstance(subfragment, Instance):
            yield from _vendor_cells(subfragment)
        elif not isinstance(subfragment, BlockInstance):
            yield subfragment


def _purpose(kind):
    """The first line of a block's docstring, or that there is none."""
    docstring = kind.__doc__
    if docstring is None and sys.flags.optimize >= 2:
        # `python -OO` drops docstrings; the Verilog is to be the same, if the source is there to read.
        with suppress(OSError):
            (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
            docstring = ast.get_docstring(cast(ast.ClassDef, definition))
    first_line = (docstring or "").strip().partition("\n")[0]
    return first_line or f"{kind.__name__} has no description."


def _heading(component):
    lines = [f"// TaylorViT {__version__}. Generated; do not edit."]
    config = getattr(component, "config", None)
    if config is not None:
        lines += ["//", "// Configuration"]
        lines += [f"//   {key} = {value}" for key, value in config.to_mapping().items()]
    lines += ["//", "// This file holds all modules and is named after the top.", "// verilator lint_off DECLFILENAME"]
    return "\n".join([*lines, ""])
