"""Buses: bundles of ports with the names of a standard, and how interfaces are joined.

Amaranth joins the names of nested members by two underscores: member `valid` of the port `accumulate_in` is
`accumulate_in__valid` in the Verilog. Tools look for the members of a standard bus under other names: `tdata` of the
port `s_axis_q` is `s_axis_q_tdata`.
"""

from amaranth.hdl import Value
from amaranth.lib.wiring import Out, Signature

__all__ = ["Bus", "connect", "copied"]


class Bus(Signature):
    """A signature whose members are joined to the name of the port by one underscore. They are ports, not bundles."""

    def create(self, *, path=None, src_loc_at=0):
        """An interface of new signals, named after `path` and the members; see `amaranth.lib.wiring.Signature`."""
        interface = super().create(path=path, src_loc_at=1 + src_loc_at)
        for (member,), _member, value in self.flatten(interface):
            signal = Value.cast(value)
            signal.name = f"{signal.name.removesuffix(f'__{member}')}_{member}"
        return interface


def connect(m, one, other):
    """Joins two interfaces of one signature, one of which is flipped: what is an output here is an input there.

    `amaranth.lib.wiring.connect` does the same member by member in the order of their names, and the Verilog declares
    its wires in the order in which they are joined. Here it is that of the signature.

    Args:
        m (amaranth.hdl.Module): the module that joins them.
        one (object): an interface, of an instance or, by `amaranth.lib.wiring.flipped`, of the module's own block.
        other (object): the other one.

    Raises:
        TypeError: a member of one is not in the other, or not its flip.
    """
    ours, theirs = (
        {path: (member, value) for path, member, value in interface.signature.flatten(interface)}
        for interface in (one, other)
    )
    for path in ours | theirs:
        (here, value), (there, other_value) = ours.get(path, (None, None)), theirs.get(path, (None, None))
        if here is None or there is None or here != there.flip():
            name = ".".join(map(str, path))
            raise TypeError(f"{name} must be an output of one and an input of the other, not {here} and {there}")
        m.d.comb += other_value.eq(value) if here.flow == Out else value.eq(other_value)


def copied(source, target):
    """Assignments of every member of one interface to the same member of another, to be put into a domain.

    Which of them are inputs does not matter: a source may go to several targets.

    Args:
        source (object): an interface, where the values come from.
        target (object): an interface of the same members, where they go to.

    Returns:
        list: the assignments.
    """
    pairs = zip(source.signature.flatten(source), target.signature.flatten(target))
    return [member.eq(value) for (_path, _member, value), (_, _, member) in pairs]
