"""Sites of an array: each cell has one of its own, of its kind, near its neighbours."""

from __future__ import annotations

import dataclasses
import re
from itertools import pairwise
from statistics import mean

import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.families.ecp5.family import ECP5
from taylorvit.fpga.families.ecp5.sites import array_sites
from taylorvit.gen.presets import load_preset

# Device, rows, columns, columns of them with Booth multipliers.
ARRAYS = [
    ("LFE5U-85F", 16, 8, 0), ("LFE5UM5G-85F", 16, 16, 8), ("LFE5U-85F", 13, 10, 0), ("LFE5U-85F", 5, 3, 1),
    ("LFE5U-45F", 8, 7, 0), ("LFE5U-25F", 8, 4, 2), ("LFE5U-12F", 9, 2, 0),
]  # fmt: skip
MULTIPLIERS = {"12": 28, "25": 28, "45": 72, "85": 156}
BLOCK_RAMS = [f"operand_row_{row}.{bank}_bank.memory.0.0" for row in range(3) for bank in "qk"] + [
    f"column_{column}.{bank}.memory.0.{part}" for column in range(2) for bank in ("v_bank", "row_queue")
    for part in range(2)
] + ["diagonal_column.k_hat_sum_bank.memory.0.0", "diagonal_column.row_queue.memory.0.0"]  # fmt: skip


def config_of(rows, columns, booth_columns):
    return dataclasses.replace(
        load_preset("tiny-4x4"),
        rows=rows,
        columns=columns,
        stream_width=8,
        multiplier="ecp5",
        booth_columns=booth_columns,
    )


def place_of(site):
    x, y, kind = re.fullmatch(r"X(\d+)/Y(\d+)/(MULT18_[0145]|EBR[0-3])", site).groups()
    return int(x), int(y), kind


@pytest.mark.parametrize("device, rows, columns, booth_columns", ARRAYS)
def test_every_cell_has_its_own_site(device, rows, columns, booth_columns):
    config = config_of(rows, columns, booth_columns)
    sites = array_sites(config, device, [*BLOCK_RAMS, "mean_bank.memory.0.0"])
    assert len(set(sites.values())) == len(sites)
    names = [
        f"array.row_{row}.{pe}.multiplier.dsp"
        for row in range(rows)
        for pe in ("diagonal", *(f"general_{column}" for column in range(columns - booth_columns)))
    ]
    assert set(sites) == {*names, *BLOCK_RAMS}
    assert all(place_of(sites[name])[2].startswith("MULT") for name in names)
    assert all(place_of(sites[name])[2].startswith("EBR") for name in BLOCK_RAMS)
    # A tile has one cell of a kind, whose number is that of its place in a group of four.
    assert len({place_of(site)[:2] for site in sites.values() if "MULT" in site}) == len(names)
    assert len(names) <= MULTIPLIERS[device[-3:-1]]


@pytest.mark.parametrize("device, rows, columns, booth_columns", ARRAYS)
def test_neighbours_are_near(device, rows, columns, booth_columns):
    sites = array_sites(config_of(rows, columns, booth_columns), device, BLOCK_RAMS)

    def distance(one, other):
        (x, y, _), (far_x, far_y, _) = place_of(sites[one]), place_of(sites[other])
        return abs(x - far_x), abs(y - far_y)

    for column in ("diagonal", *(f"general_{index}" for index in range(columns - booth_columns))):
        cells = [f"array.row_{row}.{column}.multiplier.dsp" for row in range(rows)]
        for above, below in pairwise(cells):
            across, up = distance(above, below)
            assert up == 0 and across <= 40, (above, below)
    assert distance("operand_row_1.q_bank.memory.0.0", "array.row_1.diagonal.multiplier.dsp") < (30, 30)
    across, up = distance("column_0.v_bank.memory.0.0", "array.row_0.general_0.multiplier.dsp")
    assert across + up < 40


ROW_BANKS = [
    f"engine.rows_{row - row % 4}.row_{row % 4}.{bank}.memory.0.{part}"
    for row in range(16) for bank in ("activation_bank", "kernel_row.k_bank") for part in range(3)
]  # fmt: skip
COLUMN_BANKS = [
    f"engine.columns_{column - column % 2}.column_{column % 2}.residual_bank.memory.0.{part}"
    for column in range(8) for part in range(9)
]  # fmt: skip


def network_sites(block_rams, products=()):
    config = dataclasses.replace(load_preset("vit-16x8"), multiplier="ecp5", booth_columns=1)
    return array_sites(config, "LFE5U-85F", block_rams, products)


def number_of(name):
    """Of a row or column."""
    return sum(map(int, re.findall(r"\d+", name)[:2]))


def test_network_accelerator():
    """Each multiplier of the array and each bank of rows and columns has a site of its own."""
    sites = network_sites([*ROW_BANKS, *COLUMN_BANKS, "host_side.tape_source.bank_0.memory.0.0"])
    pes = ("diagonal", *(f"general_{column}" for column in range(7)))
    array = {f"engine.array.row_{row}.{pe}.multiplier.dsp" for row in range(16) for pe in pes}
    assert sites.keys() == {*array, *ROW_BANKS, *COLUMN_BANKS}
    assert len(set(sites.values())) == len(sites)
    kinds = {name: place_of(site)[2][:3] for name, site in sites.items()}
    assert all(kind == ("MUL" if name in array else "EBR") for name, kind in kinds.items())


def test_banks_of_a_network_accelerator():
    """Those of a row are near its multipliers, and those of a column near the place where its sums come out."""
    sites = network_sites([*ROW_BANKS, *COLUMN_BANKS])
    for name in ROW_BANKS:
        x, y, _kind = place_of(sites[name])
        multiplier, _y, _kind = place_of(sites[f"engine.array.row_{number_of(name)}.general_0.multiplier.dsp"])
        assert y in (22, 46)
        assert abs(x - multiplier) < 20
    for name in COLUMN_BANKS:
        x, y, _kind = place_of(sites[name])
        column = min(number_of(name), 6)  # the last one has no multipliers of its own
        out, above, _kind = place_of(sites[f"engine.array.row_15.general_{column}.multiplier.dsp"])
        assert y in (70, 82)
        assert abs(x - out) + abs(y - above) < 110


def test_products_are_beside_the_block_ram_of_what_they_belong_to():
    """A column's, those of the lane of two columns, and those of the statistics, amid the columns."""
    columns = [f"columns_{column - column % 2}.column_{column % 2}" for column in range(8)]
    statistics = [f"engine.norm_statistics.totals.memory.0.{part}" for part in range(4)]
    products = {
        **{f"engine.{column}.feature_sums.square.dsp": f"engine.{column}." for column in columns},
        **{f"engine.{column[:9]}.norm_lane_0.scaled.dsp": f"engine.{column[:9]}." for column in columns[::2]},
        **{f"engine.norm_statistics.{part}.dsp": "engine.norm_statistics." for part in ("new_factor", "new_offset")},
    }
    sites = network_sites([*ROW_BANKS, *COLUMN_BANKS, *statistics], products)
    assert sites.keys() >= products.keys()
    assert len(set(sites.values())) == len(sites)
    for name, owner in products.items():
        x, y, kind = place_of(sites[name])
        beside = [place_of(site)[0] for bank, site in sites.items() if bank.startswith(owner) and "EBR" in site]
        assert (y, kind[:4]) == (58, "MULT")
        assert abs(x - sum(beside) / len(beside)) < 30


def test_products_without_a_free_site_are_left_to_the_placer():
    """16 x 7 multipliers leave 44 sites of 156."""
    products = [f"engine.columns_0.column_0.part_{part}.dsp" for part in range(60)]
    config = dataclasses.replace(load_preset("vit-16x8"), multiplier="ecp5", booth_columns=2)
    sites = array_sites(config, "LFE5U-85F", COLUMN_BANKS, products)
    assert len(sites.keys() & set(products)) == 44


def test_columns_of_a_network_accelerator_are_near_their_neighbours():
    sites = network_sites([*ROW_BANKS, *COLUMN_BANKS])
    xs = {name: place_of(sites[name])[0] for name in COLUMN_BANKS}
    middles = [mean(xs[name] for name in COLUMN_BANKS if number_of(name) == column) for column in range(8)]
    assert all(abs(one - other) < 45 for one, other in pairwise(middles))


def cells(banks):
    """Names of block RAM cells: instance -> how many."""
    return [f"engine.{path}.memory.0.{part}" for path, count in banks.items() for part in range(count)]


#: Block RAM of the accelerators of the boards' networks, as synthesis leaves it: of each row, of each column, the rest.
DEIT_TINY = (
    {"activation_bank": 5, "kernel_row.k_bank": 1},
    {"accumulator.sums": 1, "kernel.g_bank": 1, "kernel.row_queue": 1, "kernel.v_bank": 2, "output_stage.table_bank": 1,
     "residual_bank": 4},
    {"diagonal_column.accumulator.sums": 1, "diagonal_column.k_hat_sum_bank": 1, "diagonal_column.places": 1,
     "diagonal_column.row_queue": 1, "kernel_center.k_sums": 1, "kernel_center.mean_bank": 1, "kernel_center.v_sums": 1,
     "norm_statistics.complete": 2, "norm_statistics.prepared": 2, "norm_statistics.square_sums.sums": 2,
     "norm_statistics.total_sums.sums": 1, "norm_statistics.totals": 1},
)  # fmt: skip
MNIST5K = (
    {"activation_bank": 1, "kernel_row.k_bank": 1},
    {"accumulator.sums": 1, "kernel.g_bank": 1, "kernel.row_queue": 1, "kernel.v_bank": 1, "output_stage.table_bank": 1,
     "residual_bank": 1},
    {"diagonal_column.k_hat_sum_bank": 1, "diagonal_column.places": 1, "diagonal_column.row_queue": 1,
     "norm_statistics.complete": 2, "norm_statistics.prepared": 2, "norm_statistics.square_sums.sums": 1,
     "norm_statistics.total_sums.sums": 1, "norm_statistics.totals": 1},
)  # fmt: skip
DIGITS = (
    {"activation_bank": 1, "kernel_row.k_bank": 1},
    {"kernel.g_bank": 1, "kernel.v_bank": 1, "output_stage.table_bank": 1, "residual_bank": 1},
    {"diagonal_column.k_hat_sum_bank": 1},
)
#: Board and network -> these, the bands of rows and of columns, and how many sites are left over in each of the two.
NETWORKS = {
    ("ulx3s-85f", "deit-tiny"): (DEIT_TINY, (22, 46), (70, 82), 1, 16),
    ("ulx3s-85f", "mnist5k"): (MNIST5K, (22,), (46,), 17, 21),
    ("orangecrab-85f", "mnist5k"): (MNIST5K, (22,), (46,), 17, 21),
    ("ecpix-5-85", "mnist5k"): (MNIST5K, (22,), (46,), 17, 21),
    ("ulx3s-25f", "digits"): (DIGITS, (25,), (37,), 19, 20),
}


def test_networks_of_all_boards_are_here():
    boards = [board for board in map(load_board, board_names()) if board.family is ECP5]
    assert NETWORKS.keys() == {(board.name, network) for board in boards for network in board.networks}


@pytest.mark.parametrize("name", NETWORKS)
def test_engine_of_a_network_of_a_board(name):
    """All block RAM of the engine has a site of its own; that of all rows or columns is amid theirs."""
    (of_row, of_column, others), *bands, left_over_rows, left_over_columns = NETWORKS[name]
    board = load_board(name[0])
    config = board.network(name[1]).config
    rows = [f"rows_{row - row % 4}.row_{row % 4}" for row in range(config.rows)]
    columns = [f"columns_{column - column % 2}.column_{column % 2}" for column in range(config.columns)]
    banks = [
        *cells({f"{row}.{bank}": count for row in rows for bank, count in of_row.items()}),
        *cells({f"{column}.{bank}": count for column in columns for bank, count in of_column.items()}),
        *cells(others),
    ]
    of_host = [f"host_side.tape_source.bank_0.memory.0.{part}" for part in range(20)]
    sites = array_sites(config, board.device, [*of_host, *banks])
    assert {cell for cell in sites if not cell.startswith("engine.array.")} == set(banks)
    assert len(set(sites.values())) == len(sites)

    size = 7 * 4 if board.device == "LFE5U-25F" else 13 * 4
    for group, of_group, amid, left_over in (
        ("rows_", bands[0], ("diagonal_column", "kernel_center"), left_over_rows),
        ("columns_", bands[1], ("norm_statistics",), left_over_columns),
    ):
        xs = {
            cell: place_of(site)[0] for cell, site in sites.items() if place_of(site)[1] in of_group and "EBR" in site
        }
        assert len(of_group) * size - len(xs) == left_over
        shared = sorted(x for cell, x in xs.items() if cell.startswith(tuple(f"engine.{each}." for each in amid)))
        around = sorted(x for cell, x in xs.items() if cell.startswith(f"engine.{group}"))
        assert len(shared) + len(around) == len(xs)
        left = [x for x in around if not shared or x <= shared[0]]
        right = [x for x in around if not shared or x >= shared[-1]]
        assert not shared or len(left) == len(right) == len(around) / 2


def test_what_is_amid_the_rows_needs_what_is_left_over():
    """The banks of rows take no further band for it, and those of columns have theirs."""
    banks = [f"engine.rows_0.row_{row}.activation_bank.memory.0.{part}" for row in range(16) for part in range(6)]
    amid = [f"engine.kernel_center.v_sums.memory.0.{part}" for part in range(12)]
    sites = network_sites([*banks, *amid, *COLUMN_BANKS])
    assert {place_of(sites[name])[1] for name in [*banks, *(name for name in amid if name in sites)]} == {22, 46}
    assert len([name for name in amid if name in sites]) == 2 * 52 - 96
    assert {place_of(sites[name])[1] for name in COLUMN_BANKS} == {70, 82}


@pytest.mark.parametrize("rows", [16, 13, 5, 3])
def test_neighbours_of_a_network_accelerator_are_near(rows):
    sizes = {"rows": rows, "columns": 2, "image_lanes": 1, "tape_width": 16}
    config = dataclasses.replace(load_preset("vit-16x8"), **sizes, multiplier="ecp5")
    sites = array_sites(config, "LFE5U-85F", [])
    xs = [place_of(sites[f"engine.array.row_{row}.general_0.multiplier.dsp"])[0] for row in range(rows)]
    assert all(abs(one - other) <= 15 for one, other in pairwise(xs))
    assert abs(xs[0] - xs[-1]) <= 15


def test_banks_that_do_not_fit_are_left_to_the_placer():
    config = dataclasses.replace(load_preset("vit-tiny-4x4"), multiplier="ecp5")
    banks = [f"engine.rows_0.row_{row}.activation_bank.memory.0.{part}" for row in range(4) for part in range(15)]
    of_columns = ["engine.columns_0.column_0.accumulator.sums.memory.0.0"]
    assert array_sites(config, "LFE5U-25F", banks[:56] + of_columns).keys() >= set(banks[:56])
    assert of_columns[0] not in array_sites(config, "LFE5U-25F", banks[:56] + of_columns)
    assert not array_sites(config, "LFE5U-25F", banks).keys() & set(banks)


def test_an_array_that_does_not_fit_is_left_to_the_placer():
    assert array_sites(config_of(20, 20, 0), "LFE5U-85F", BLOCK_RAMS) == {}
    assert array_sites(config_of(16, 8, 0), "LFE5U-25F", BLOCK_RAMS) == {}
    network = dataclasses.replace(load_preset("vit-16x8"), multiplier="ecp5")
    assert array_sites(network, "LFE5U-25F", ROW_BANKS[:6]) == {}


def test_multipliers_that_are_inferred_are_left_to_the_placer():
    config = dataclasses.replace(config_of(4, 4, 0), multiplier="inferred")
    assert array_sites(config, "LFE5U-85F", BLOCK_RAMS) == {}
