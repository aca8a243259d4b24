"""What a host knows of an accelerator: what its registers tell, and nothing else.

A driver that finds an accelerator has no configuration of it and needs none: sizes and limits of a job, the layout of a
beat, the attention kernel, widths and shifts are constants in registers. `HostView` is a record of them. Its fields
have the names and meanings of those of `AcceleratorConfig`, so a function that needs only some of them takes either.
"""

from dataclasses import dataclass, fields

from taylorvit.rtl.attention import KERNELS, kernel_spec
from taylorvit.rtl.config import AcceleratorConfig, ArrayCycles

from .registers import register_map

__all__ = ["LAYOUT", "VIEW_REGISTERS", "HostView"]

LAYOUT = register_map(AcceleratorConfig(name="any", rows=4, columns=4))
"""Where registers and their fields are, which is the same in every configuration; ranges and resets are of any one."""

_KERNEL = LAYOUT["CONSTANT_WIDTHS"]["KERNEL"]

# Field of the view -> its register, and the field there. TIMEOUT tells it by its value after a reset.
_PLACES = {
    "rows": ("ARRAY_SIZE", "ROWS"),
    "columns": ("ARRAY_SIZE", "COLUMNS"),
    "data_width": ("NUMBER_FORMAT", "DATA_WIDTH"),
    "element_width": ("NUMBER_FORMAT", "ELEMENT_WIDTH"),
    "mean_fraction": ("NUMBER_FORMAT", "MEAN_FRACTION"),
    "constant_fraction": ("NUMBER_FORMAT", "CONSTANT_FRACTION"),
    "max_tokens": ("MAX_SIZES", "MAX_TOKENS"),
    "max_head_dim": ("MAX_SIZES", "MAX_HEAD_DIM"),
    "max_heads": ("MAX_HEADS", "MAX_HEADS"),
    "stream_lanes": ("STREAM", "LANES"),
    "pe_pipeline": ("PIPELINE", "PE_PIPELINE"),
    "divider_row_interval": ("PIPELINE", "DIVIDER_INTERVAL"),
    "shift_z_min": ("SHIFT_LIMITS", "SHIFT_Z_MIN"),
    "shift_z_max": ("SHIFT_LIMITS", "SHIFT_Z_MAX"),
    "counter_width": ("COUNTER_WIDTHS", "COUNTER_WIDTH"),
    "error_count_width": ("COUNTER_WIDTHS", "ERROR_COUNT_WIDTH"),
    "input_timeout": ("TIMEOUT", "TIMEOUT"),
}

# Where a value may be below 1, or a host's own arithmetic needs a limit.
_RANGES = {
    "data_width": (2, 16),
    "element_width": (8, 16),
    "counter_width": (1, 32),
    "error_count_width": (1, 32),
    "mean_fraction": (0, 255),
    "constant_fraction": (0, 255),
    "pe_pipeline": (0, 255),
    "shift_z_min": (-128, 0),
    "shift_z_max": (0, 255),
}

VIEW_REGISTERS = tuple(dict.fromkeys([*(register for register, _field in _PLACES.values()), "CONSTANT_WIDTHS"]))
"""Names of the registers that a view is read from, after a reset."""


@dataclass(frozen=True, kw_only=True)
class HostView(ArrayCycles):
    """Sizes and limits of an accelerator as its registers tell them; `AcceleratorConfig` describes them.

    `register_map` takes a view as it takes the configuration itself.

    Attributes:
        name (str): a label, which is in no register.
        kernel (str): attention kernel.
        told (dict[str, int]): what the kernel tells beside the rest (`rtl.attention.spec.Told`); each number is an
            attribute of the view as well.
    """

    name: str
    kernel: str
    rows: int
    columns: int
    data_width: int
    element_width: int
    mean_fraction: int
    constant_fraction: int
    max_tokens: int
    max_head_dim: int
    max_heads: int
    stream_lanes: int
    pe_pipeline: int
    divider_row_interval: int
    shift_z_min: int
    shift_z_max: int
    counter_width: int
    error_count_width: int
    input_timeout: int
    told: dict[str, int]

    def __getattr__(self, name):
        """What is no field of the view is a number that the kernel tells, or nothing."""
        if name != "told" and name in self.told:
            return self.told[name]
        raise AttributeError(f"view of an accelerator has no attribute {name!r}")

    @classmethod
    def of(cls, config):
        """What a host would see of an accelerator built from `config`."""
        values = {field.name: getattr(config, field.name) for field in fields(cls) if field.name != "told"}
        told = kernel_spec(config.kernel).told
        return cls(**values, told={number.attribute: getattr(config, number.attribute) for number in told})

    @classmethod
    def from_registers(cls, words, name):
        """The view that registers give.

        Args:
            words (dict[str, int]): values of `VIEW_REGISTERS` by name, read after a reset.
            name (str): label of the view.

        Raises:
            ValueError: no accelerator can be like that.
        """
        values = {}
        for attribute, (register, field) in _PLACES.items():
            least, most = _RANGES.get(attribute, (1, None))
            values[attribute] = _in_range(LAYOUT[register][field].of(words[register]), field, register, least, most)
        if values["element_width"] % 8 or values["element_width"] < values["data_width"]:
            raise ValueError(
                f"ELEMENT_WIDTH in register NUMBER_FORMAT must be whole bytes for {values['data_width']} "
                f"bits, not {values['element_width']!r}"
            )
        number = _in_range(_KERNEL.of(words["CONSTANT_WIDTHS"]), "KERNEL", "CONSTANT_WIDTHS", 0, len(KERNELS) - 1)
        kernel = list(KERNELS)[number]
        told = {
            number.attribute: number.decoded(
                _in_range(
                    words[number.register] >> number.low & 0xFF,
                    number.field,
                    number.register,
                    number.least,
                    number.most,
                )
            )
            for number in kernel_spec(kernel).told
        }
        return cls(name=name, kernel=kernel, told=told, **values)

    def to_mapping(self):
        """The fields as a plain dictionary, what the kernel tells among them."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "told"}
        return plain | self.told

    def differences(self, other):
        """How it differs from another view, by the names of the registers' fields: "ROWS is 4, not 16", ..."""
        names = {attribute: field for attribute, (_register, field) in _PLACES.items()} | {"kernel": "KERNEL"}
        names |= {told: told.upper() for told in {**self.told, **other.told}}
        mine, theirs = self.to_mapping(), other.to_mapping()
        return [
            f"{field} is {mine.get(attribute, 'none')}, not {theirs.get(attribute, 'none')}"
            for attribute, field in names.items()
            if mine.get(attribute) != theirs.get(attribute)
        ]

    @property
    def stream_width(self):
        """Bits of a beat."""
        return self.stream_lanes * self.element_width


def _in_range(value, field, register, least, most):
    if value < least or most is not None and value > most:
        rule = f"at least {least}" if most is None else f"in {least}..{most}"
        raise ValueError(f"{field} in register {register} must be {rule}, not {value!r}")
    return value
