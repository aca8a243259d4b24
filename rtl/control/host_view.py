"""What a host knows of an attention accelerator (`rtl.control.register_view`): sizes, widths, limits, the kernel."""

from dataclasses import dataclass, fields

from taylorvit.rtl.attention import KERNELS, kernel_spec
from taylorvit.rtl.config import AcceleratorConfig, ArrayCycles

from .register_view import Place, RegisterView, in_range
from .registers import register_map

__all__ = ["LAYOUT", "VIEW_REGISTERS", "HostView"]

LAYOUT = register_map(AcceleratorConfig(name="any", rows=4, columns=4))
"""Where registers and their fields are, which is the same in every configuration; ranges and resets are of any one."""

_PLACES = {
    "rows": Place("ARRAY_SIZE", "ROWS"),
    "columns": Place("ARRAY_SIZE", "COLUMNS"),
    "data_width": Place("NUMBER_FORMAT", "DATA_WIDTH", 2, 16),
    "element_width": Place("NUMBER_FORMAT", "ELEMENT_WIDTH", 8, 16),
    "mean_fraction": Place("NUMBER_FORMAT", "MEAN_FRACTION", 0, 255),
    "constant_fraction": Place("NUMBER_FORMAT", "CONSTANT_FRACTION", 0, 255),
    "max_tokens": Place("MAX_SIZES", "MAX_TOKENS"),
    "max_head_dim": Place("MAX_SIZES", "MAX_HEAD_DIM"),
    "max_heads": Place("MAX_HEADS", "MAX_HEADS"),
    "stream_lanes": Place("STREAM", "LANES"),
    "pe_pipeline": Place("PIPELINE", "PE_PIPELINE", 0, 255),
    "divider_row_interval": Place("PIPELINE", "DIVIDER_INTERVAL"),
    "shift_z_min": Place("SHIFT_LIMITS", "SHIFT_Z_MIN", -128, 0),
    "shift_z_max": Place("SHIFT_LIMITS", "SHIFT_Z_MAX", 0, 255),
    "counter_width": Place("COUNTER_WIDTHS", "COUNTER_WIDTH", 1, 32),
    "error_count_width": Place("COUNTER_WIDTHS", "ERROR_COUNT_WIDTH", 1, 32),
    "input_timeout": Place("TIMEOUT", "TIMEOUT"),
}

_KERNEL = Place("CONSTANT_WIDTHS", "KERNEL", 0)

VIEW_REGISTERS = tuple(dict.fromkeys(place.register for place in (*_PLACES.values(), _KERNEL)))
"""Names of the registers that a view is read from, after a reset."""


@dataclass(frozen=True, kw_only=True)
class HostView(RegisterView, ArrayCycles):
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

    layout = LAYOUT
    places = _PLACES

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
    def decoded(cls, words, values):
        """The kernel and what it tells; elements of the streams must be whole bytes."""
        if values["element_width"] % 8 or values["element_width"] < values["data_width"]:
            raise ValueError(
                f"ELEMENT_WIDTH in register NUMBER_FORMAT must be whole bytes for {values['data_width']} "
                f"bits, not {values['element_width']!r}"
            )
        kernel = list(KERNELS)[_KERNEL._replace(most=len(KERNELS) - 1).read(words, LAYOUT)]
        told = {
            number.attribute: number.decoded(
                in_range(
                    words[number.register] >> number.low & 0xFF,
                    number.field,
                    number.register,
                    number.least,
                    number.most,
                )
            )
            for number in kernel_spec(kernel).told
        }
        return {"kernel": kernel, "told": told}

    @property
    def labels(self):
        """The kernel, and the numbers that it tells, beside the numbers of every accelerator."""
        return {"kernel": "KERNEL"} | {told: told.upper() for told in self.told}

    def to_mapping(self):
        """The fields as a plain dictionary, what the kernel tells among them."""
        plain = super().to_mapping()
        return plain | plain.pop("told")

    @property
    def stream_width(self):
        """Bits of a beat."""
        return self.stream_lanes * self.element_width
