"""Constants of a layer: registers that the command CONSTANTS fills."""

from types import SimpleNamespace

from amaranth.hdl import Signal

from taylorvit.rtl.network.command import CONSTANTS_FIELDS

__all__ = ["constants_of"]


def constants_of(m, center, shapes, kernel_fields):
    """Registers of the constants of a layer.

    Args:
        m (Module): the center's module.
        center (Block): the center; it has the ports `constants` and `constants_valid`.
        shapes (dict): name of a field -> shape of its register.
        kernel_fields (dict[str, Field]): the kernel's own fields of the command.

    Returns:
        SimpleNamespace: registers by name.
    """
    fields = CONSTANTS_FIELDS | kernel_fields
    constants = SimpleNamespace()
    for name, shape in shapes.items():
        register = Signal(shape, name=name, reset_less=True)
        low = 8 * fields[name].place
        with m.If(center.constants_valid):
            m.d.sync += register.eq(center.constants[low : low + len(register)])
        setattr(constants, name, register)
    return constants
