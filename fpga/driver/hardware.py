"""What was built: the configuration of an accelerator, as its own constant registers tell it.

Offsets of registers are the same in every configuration, so the constants can be read before anything is known.
"""

from rtl.config import AcceleratorConfig, ConfigError
from rtl.registers import Access, register_map

from .errors import WrongBoard

__all__ = ["check_identification", "config_from_constants", "constant_addresses", "differences"]

# Any configuration will do to look up where constants and their fields are.
_ANY_CONFIG = AcceleratorConfig(name="any", rows=4, columns=4)


def constant_addresses():
    """Register name -> byte address, of all constants."""
    return {register.name: register.offset for register in register_map(_ANY_CONFIG)
            if register.access is Access.CONSTANT}  # fmt: skip


def check_identification(constants, where):
    """Checks ID and VERSION among `constants` (register name -> value); raises `WrongBoard`.

    Registers of another minor version may mean something else; those of another patch level do not.
    """
    registers = register_map(_ANY_CONFIG)
    identification, version = registers["ID"], registers["VERSION"]
    if constants["ID"] != identification.reset:
        raise WrongBoard(f"register ID on {where} must be {identification.reset:#010x}, not {constants['ID']:#010x}: "
                         "what answers is no TaylorViT accelerator")  # fmt: skip
    ours = [version[name].reset for name in ("MAJOR", "MINOR", "PATCH")]
    theirs = [_field(version[name], constants["VERSION"]) for name in ("MAJOR", "MINOR", "PATCH")]
    if theirs[:2] != ours[:2]:
        raise WrongBoard(f"version of the accelerator on {where} must be {ours[0]}.{ours[1]}.x, as this program's, not "
                         f"{'.'.join(map(str, theirs))}: build and load its bitstream anew")  # fmt: skip


def config_from_constants(constants, name):
    """The `AcceleratorConfig` that `constants` (register name -> value) describe, labelled `name`.

    What registers do not tell has its default value; none of it matters to a host. Raises `WrongBoard` if no
    accelerator can be like that.
    """
    registers = register_map(_ANY_CONFIG)
    value = {field.name: _field(field, constants[register])
             for register in constant_addresses() for field in registers[register].fields}  # fmt: skip
    try:
        return AcceleratorConfig(
            name=name,
            rows=value["ROWS"],
            columns=value["COLUMNS"],
            data_width=value["DATA_WIDTH"],
            mean_fraction=value["MEAN_FRACTION"],
            constant_fraction=value["CONSTANT_FRACTION"],
            max_tokens=value["MAX_TOKENS"],
            max_head_dim=value["MAX_HEAD_DIM"],
            max_heads=value["MAX_HEADS"],
            pe_pipeline=value["PE_PIPELINE"],
            divider_interval=value["DIVIDER_INTERVAL"],
            stream_width=value["LANES"] * value["ELEMENT_WIDTH"],
        )
    except ConfigError as error:
        raise WrongBoard(f"constants of the accelerator must be those of one that can be built: {error}") from None


def differences(constants, config):
    """How `constants` (register name -> value) differ from those of `config`: "ROWS is 4, not 16", ..."""
    registers = register_map(config)
    found = []
    for name in constant_addresses():
        for field in registers[name].fields:
            actual = _field(field, constants[name])
            expected = _field(field, registers[name].reset)
            if actual != expected:
                found.append(f"{field.name} is {actual}, not {expected}")
    return found


def _field(field, word):
    return (word & field.mask) >> field.low
