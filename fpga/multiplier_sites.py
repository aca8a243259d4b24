"""Which multiplier of the device each PE gets, so that neighbours in the array are neighbours on the chip.

Placers treat the two or three bands of multipliers on a large ECP5 as interchangeable, and tear the array to pieces:
PEs thirty tiles away from their own multiplier, in a design that fills a quarter of the device. Yet the best
arrangement is plain. Most wires of the array run down a column (partial sums and stationary operands; the streamed
operand is all that goes to the right), so a band takes a few columns of the array, all of their rows side by side:

    band 2    row 0: column 6, 7, 8    row 1: column 6, 7, 8    ...
    band 1    row 0: column 3, 4, 5    row 1: column 3, 4, 5    ...
    band 0    row 0: SA-Diag, 1, 2     row 1: SA-Diag, 1, 2     ...

If the columns do not fit so, it is tried with rows in the place of columns. PEs with Booth multipliers and the bias
unit stay free.
"""

from math import ceil

__all__ = ["multiplier_sites"]

#: LFE5 size -> rows of tiles with multipliers, columns where their groups of four begin. From nextpnr's device
#: database: the sites that a netlist with as many multipliers as the device has is placed on.
_GROUPS = {
    "12": ((13,), (4, 13, 22, 33, 42, 51, 60)),
    "25": ((13,), (4, 13, 22, 33, 42, 51, 60)),
    "45": ((22, 46), (4, 13, 22, 31, 42, 51, 60, 69, 78)),
    "85": ((10, 34, 58), (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)),
}


def _bands(device):
    """The device's multipliers as nextpnr names them, band by band from left to right."""
    rows, columns = _GROUPS[device[-3:-1]]
    return [[f"X{x + at}/Y{y}/MULT18_{at}" for x in columns for at in (0, 1, 4, 5)] for y in rows]


def multiplier_sites(config, device):
    """Path of a multiplier cell below the accelerator -> its site, for the array of `config` on an ECP5 `device`.

    Empty if the array's multipliers are not instantiated cells of ECP5 or do not fit in either order.
    """
    if config.multiplier != "ecp5":
        return {}
    rows = [f"row_{row}" for row in range(config.rows)]
    columns = ["diagonal", *(f"general_{column}" for column in range(config.columns - config.booth_columns))]
    return _fold(columns, rows, _bands(device), "array.{1}.{0}.multiplier.dsp") or _fold(
        rows, columns, _bands(device), "array.{0}.{1}.multiplier.dsp"
    )


def _fold(split, whole, bands, path):
    """Sites of `split` x `whole`, so many of `split` in each band; {} if a band is too short."""
    share = ceil(len(split) / len(bands))
    if share * len(whole) > len(bands[0]):
        return {}
    sites = {}
    for index, band in enumerate(bands):
        cells = [path.format(first, second) for second in whole for first in split[index * share : (index + 1) * share]]
        sites |= dict(zip(cells, band, strict=False))
    return sites
