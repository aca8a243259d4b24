"""The cells that can be written: their operators in Verilog, their outputs, and nouns for their results.

The kinds are those of Yosys ("Internal cell library" in its manual) that Amaranth uses. An operator's operands are
its ports A and B (S selects for `$mux`: B if 1), its result is Y.
"""

__all__ = ["BINARY", "BINARY_SYMBOLS", "COMPARISONS", "LOGICAL", "LOW_BITS_ALONE", "MEMORY_CELLS", "NOUNS", "OPERATORS",
           "OUTPUTS", "REDUCTIONS", "SHIFTS", "UNARY"]  # fmt: skip

COMPARISONS = {"$eq": "==", "$ne": "!=", "$lt": "<", "$le": "<=", "$gt": ">", "$ge": ">="}
REDUCTIONS = {"$reduce_or": "|", "$reduce_bool": "|", "$reduce_and": "&", "$reduce_xor": "^"}
LOGICAL = {"$and": "&&", "$or": "||", "$xor": "^"}  # of single bits
UNARY = {"$neg": "-", "$not": "~"}
BINARY = {
    "$add": "+",
    "$sub": "-",
    "$mul": "*",
    "$divfloor": "/",
    "$modfloor": "%",
    "$and": "&",
    "$or": "|",
    "$xor": "^",
}
SHIFTS = {"$shl": "<<", "$shr": ">>", "$sshr": ">>>", "$shift": ">>"}
BINARY_SYMBOLS = {*COMPARISONS.values(), *LOGICAL.values(), *BINARY.values(), *SHIFTS.values(), "?", ":"}

# Their low result bits depend on low operand bits only.
LOW_BITS_ALONE = {"$add", "$sub", "$mul", "$neg", "$and", "$or", "$xor", "$not", "$shl", "$mux"}

OPERATORS = {*COMPARISONS, *REDUCTIONS, *UNARY, *BINARY, *SHIFTS, "$mux"}
MEMORY_CELLS = {"$meminit_v2", "$memwr_v2", "$memrd_v2"}
OUTPUTS = {**dict.fromkeys(OPERATORS, "Y"), "$dff": "Q", "$memrd_v2": "DATA"}

# What a result is called for which the source has no name.
NOUNS = {
    "$add": "sum", "$sub": "difference", "$mul": "product", "$divfloor": "quotient", "$modfloor": "remainder",
    "$and": "both", "$or": "either", "$xor": "odd", "$not": "inverse", "$neg": "negative", "$mux": "selected",
    "$shl": "shifted", "$shr": "shifted", "$sshr": "shifted", "$shift": "part", "$eq": "equal", "$ne": "unequal",
    "$lt": "less", "$le": "at_most", "$gt": "greater", "$ge": "at_least", "$reduce_or": "any", "$reduce_bool": "any",
    "$reduce_and": "all", "$reduce_xor": "odd", "$dff": "state", "$memrd_v2": "word",
}  # fmt: skip
