"""Multipliers of a processing element: one interface, one latency, a form for each FPGA family.

    stationary --->[active]--.        `active` takes `stationary` when `swap` is high
                              (x)--->[P registers]---> product
    streamed ----->[   ]-----'

What Yosys infers from `*` is right on every family, but nowhere fast: no synthesis pass moves the registers around a
multiplier into its DSP cell. So the other forms instantiate the cell, with its own registers for both operands and
for the product, or do without a cell.

| form | made of | operands up to | `pipeline` |
|---|---|---|---|
| `inferred` | `*` | any | 0 or more, behind the multiplication |
| `ecp5` | MULT18X18D with registers A, B and OUT | 18 bits | OUT, one behind, one in front, more behind |
| `gowin` | MULT18X18 or MULT9X9 with registers A, B and OUT | 18 bits | the same |
| `ice40` | SB_MAC16 with registers A, B and H | 16 bits | H, others behind the cell |
| `booth` | LUTs: digits of the stationary operand, a tree of adders | any | 1 or more, between its stages |

Every form has the same latency for the same `pipeline`, so the multipliers of one array may have several forms. This
file says what there is and what its limits are; the hardware of a form is in the file of its name and is loaded when it
is built.
"""

from dataclasses import dataclass

from taylorvit.rtl.common.loading import load

__all__ = ["FORMS", "Form"]


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of the multiplier; called with the parameters of `rtl.array.multiplier.base.Multiplier`, it builds one.

    Attributes:
        block (str): class of the multiplier, as "module:Class".
        product (str | None): class of a product of two factors alone, with the registers of a cell, likewise; None if
            products are inferred (`rtl.array.wide_product`).
        operand_limit (int | None): most bits of an operand; None if any number will do.
        least_pipeline (int): fewest registers besides those of the operands.
        family (str | None): the only FPGA family that has its cells, by its name in board files; None for any.
    """

    block: str
    product: str | None = None
    operand_limit: int | None = None
    least_pipeline: int = 0
    family: str | None = None

    def __call__(self, **parameters):
        """Builds a multiplier of this form."""
        return load(self.block)(**parameters)


_PACKAGE = "taylorvit.rtl.array.multiplier"

FORMS = {
    "inferred": Form(block=f"{_PACKAGE}.inferred:InferredMultiplier"),
    "ecp5": Form(
        block=f"{_PACKAGE}.ecp5:Ecp5Multiplier",
        product=f"{_PACKAGE}.ecp5:Ecp5Product",
        operand_limit=18,
        least_pipeline=1,
        family="ecp5",
    ),
    "ice40": Form(block=f"{_PACKAGE}.ice40:Ice40Multiplier", operand_limit=16, least_pipeline=1, family="ice40"),
    "gowin": Form(block=f"{_PACKAGE}.gowin:GowinMultiplier", operand_limit=18, least_pipeline=1, family="gowin"),
    "booth": Form(block=f"{_PACKAGE}.booth:BoothMultiplier", least_pipeline=1),
}
"""The forms by name: the values of the field `multiplier` of a configuration."""
