"""Pipeline registers: values and whole bundles, some cycles later.

Flags, of one bit, are reset. Numbers are not: a number means nothing without the flag that comes with it.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Signal

from .validation import require_range

__all__ = ["delay", "delay_bundle", "gather", "pass_on"]


def delay(m, signal, cycles, name, *, reset=None):
    """`signal`, some cycles later.

    Args:
        m (amaranth.hdl.Module): the module that gets the registers.
        signal (amaranth.hdl.Value): what is delayed. If it has one bit, its registers are reset.
        cycles (int): number of registers, 0 or more; with 0, `signal` itself is returned.
        name (str): name of the registers, before their number.
        reset (amaranth.hdl.Value | None): clears the registers of a flag, besides the reset of the module itself.

    Returns:
        amaranth.hdl.Value: the output of the last register.

    Raises:
        TypeError: `cycles` is not an integer.
        ValueError: `cycles` is negative.
    """
    require_range("cycles", cycles, 0)
    is_flag = len(signal) == 1
    for cycle in range(cycles):
        later = Signal.like(signal, name=f"{name}_{cycle + 1}", reset_less=not is_flag)
        m.d.sync += later.eq(signal)
        if reset is not None and is_flag:
            with m.If(reset):
                m.d.sync += later.eq(0)
        signal = later
    return signal


def delay_bundle(m, source, cycles, name, *, reset=None):
    """The interface `source`, some cycles later: a new interface called `name`; see `delay` for the rest."""
    target = source.signature.create(path=(name,))
    _delay_members(m, source, target, cycles, "", reset)
    return target


def pass_on(m, source, target):
    """The interface `target` is `source`, one cycle later; both have the same members."""
    _delay_members(m, source, target, 1, "_register", None)


def gather(m, values, name):
    """The one of several values that is not 0, from places far apart, two cycles later.

    Args:
        m (amaranth.hdl.Module): the module that gets the registers.
        values (list[amaranth.hdl.Value]): of one width; all but one are 0 in each cycle.
        name (str): name of the registers, one for each four neighbours and one for all.

    Returns:
        amaranth.hdl.Signal: the bits of the value, without a sign.
    """
    width = len(values[0])
    gathered = Signal(width, name=name)
    near = []  # of four neighbours: a register on the way
    for first in range(0, len(values), 4):
        near.append(Signal(width, name=f"{name}_{first}"))
        m.d.sync += near[-1].eq(reduce(or_, (value.as_unsigned() for value in values[first : first + 4])))
    m.d.sync += gathered.eq(reduce(or_, near))
    return gathered


def _delay_members(m, source, target, cycles, suffix, reset):
    pairs = zip(source.signature.flatten(source), target.signature.flatten(target))
    for (_path, _member, value), (_path, _member, later) in pairs:
        m.d.comb += later.eq(delay(m, value, cycles, f"{later.name}{suffix}", reset=reset))
