"""Verilog of a block and of every block below it, each module once.

The blocks are collected from the top by walking the elaborated fragments, converted to RTLIL one by one, and turned
into Verilog by a single run of Yosys (its start-up costs more than the conversion of a block).
"""

from amaranth.back import rtlil, verilog
from amaranth.hdl import ClockDomain, Fragment
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

from rtl.block import BlockInstance

__all__ = ["emit"]


def _elaborate(component):
    fragment = Fragment.get(component, None)
    domain = ClockDomain("sync", reset_less=component.reset_less)
    fragment.add_domains(domain)
    ports = {"clk": (domain.clk, PortDirection.Input)}
    if not component.reset_less:
        ports["rst"] = (domain.rst, PortDirection.Input)
    for path, member, value in component.signature.flatten(component):
        flow = PortDirection.Input if member.flow == wiring.In else PortDirection.Output
        ports["__".join(map(str, path))] = (value, flow)
    return fragment, ports


def _children(fragment):
    for subfragment, _name, _src_loc in fragment.subfragments:
        if isinstance(subfragment, BlockInstance):
            yield subfragment.component
        else:
            yield from _children(subfragment)


def emit(component):
    """Returns the Verilog of `component` (an `rtl.block.Block`) and of all blocks below it, as one text.

    Modules come in the order top, then blocks as they are met. The same component gives the same text, to the byte.
    """
    modules = {}  # name -> (parameters, RTLIL)
    waiting = [component]
    while waiting:
        block = waiting.pop(0)
        if block.module_name in modules:
            if modules[block.module_name][0] != block.parameters:
                raise ValueError(
                    f"module name must be unique to one set of parameters, not {block.module_name!r} for both "
                    f"{modules[block.module_name][0]} and {block.parameters}"
                )
            continue
        fragment, ports = _elaborate(block)
        waiting.extend(_children(fragment))
        text, _names = rtlil.convert_fragment(fragment, ports, block.module_name, emit_src=False)
        modules[block.module_name] = (block.parameters, text)
    # Amaranth has no public call that converts RTLIL text; `verilog.convert` itself ends in this one.
    return verilog._convert_rtlil_text(
        "\n".join(text for _parameters, text in modules.values()), strip_internal_attrs=True
    )
