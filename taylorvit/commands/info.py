"""`taylorvit info`: the register map and the ports of an accelerator."""

from argparse import ArgumentParser, Namespace

from taylorvit.boundary.command import console

from .options import add_configuration, configuration_of

__all__ = ["add_arguments", "run"]

_DEFAULT_PRESET = "edge-16x16"  # without --preset and --config


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = f"Shows the register map and the ports (default: those of {_DEFAULT_PRESET})."
    add_configuration(parser, required=False)


def run(arguments: Namespace) -> None:
    """Carries out the command."""
    config = configuration_of(arguments, default=_DEFAULT_PRESET)
    screen = console()
    screen.print(_registers(config))
    screen.print(_ports(config))


def _registers(config):
    from rich.table import Table

    from taylorvit.gen.registers_export import register_map

    table = Table(title=f"Registers of {config.name}")
    for heading in ("offset", "register", "bits", "access", "reset", "values", "description"):
        table.add_column(heading)
    for register in register_map(config):
        for index, field in enumerate(register.fields):
            table.add_row(
                f"{register.offset:#05x}" if index == 0 else "",
                register.name if field.name == register.name else f"{register.name}.{field.name}",
                str(field.low) if field.width == 1 else f"{field.high}..{field.low}",
                register.access.value,
                f"{field.reset:#x}" if register.name == "ID" else str(field.reset),
                field.values,
                field.description,
            )
    return table


def _ports(config):
    from rich.table import Table

    from taylorvit.gen.generate import port_table, top

    component = top(config)
    table = Table(title=f"Ports of module {component.module_name}")
    for heading in ("port", "direction", "width", "signed"):
        table.add_column(heading, justify="right" if heading == "width" else "left")
    for name, direction, width, signed in port_table(component):
        table.add_row(name, direction, str(width), "signed" if signed else "")
    return table
