"""Every rule of the network accelerator's configuration, by the text of its error."""

import re

import pytest

from taylorvit.gen.verilog import instances
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.config import ConfigError
from taylorvit.rtl.network.accelerator import NetworkAccelerator
from taylorvit.rtl.network.config import NetworkConfig
from verif.rtl.network.configurations import config_of

SMALL = config_of("default").to_mapping()  # 4 x 4


@pytest.mark.parametrize(("changes", "text"), [
    ({"name": ""}, "name must consist of ASCII letters, digits, '-' and '_', not ''"),
    ({"rows": 1}, "rows must be in 2..256, not 1"),
    ({"columns": 5}, "columns must be in 1..4, not 5"),
    ({"max_tokens": 1}, "max_tokens must be in 2..8192, not 1"),
    ({"max_width": 4097}, "max_width must be in 1..4096, not 4097"),
    ({"max_hidden": 0}, "max_hidden must be in 1..16384, not 0"),
    ({"max_patch": 0}, "max_patch must be in 1..4096, not 0"),
    ({"max_classes": 65536}, "max_classes must be in 1..65535, not 65536"),
    ({"max_classes": 2.0}, "max_classes must be an integer, not 2.0"),
    ({"max_classes": True}, "max_classes must be an integer, not True"),
    ({"max_heads": 25}, "max_heads must be in 1..24, not 25"),
    ({"max_head_dim": 25}, "max_head_dim must be in 1..24, not 25"),
    ({"mlp_tokens": 18}, "mlp_tokens must be in 0..17, not 18"),
    ({"mlp_tokens": -1}, "mlp_tokens must be in 0..17, not -1"),
    ({"mlp_tokens": 0.5}, "mlp_tokens must be an integer, not 0.5"),
    ({"residual_width": 17}, "residual_width must be in 8..16, not 17"),
    ({"left_shift_max": 8}, "left_shift_max must be in 0..7, not 8"),
    ({"sum_width": 33}, "sum_width must be in 16..32, not 33"),
    ({"aligned_width": 23}, "aligned_width must be in 24..48, not 23"),
    ({"stream_shift_max": 32}, "stream_shift_max must be in 0..31, not 32"),
    ({"branch_shift_max": 16}, "branch_shift_max must be in 0..15, not 16"),
    ({"right_shift_max": 49}, "right_shift_max must be in 0..48, not 49"),
    ({"norm_shift_min": 16}, "norm_shift_min must be 0 or 17, not 16"),
    ({"shift_z_min": 8}, "shift_z_min must be in -8..7, not 8"),
    ({"shift_z_min": 3, "shift_z_max": 2}, "shift_z_max must be in 3..31, not 2"),
    ({"c_v_bits": 33}, "c_v_bits must be in 0..32, not 33"),
    ({"c_d_bits": -1}, "c_d_bits must be in 0..64, not -1"),
    ({"epsilon_width": 0}, "epsilon_width must be in 1..47, not 0"),
    ({"norm_interval": 0}, "norm_interval must be in 1..128, not 0"),
    ({"norm_lanes": -1}, "norm_lanes must be in 0..4, not -1"),
    ({"norm_lanes": 5}, "norm_lanes must be in 0..4, not 5"),
    ({"norm_lanes": 3}, "norm_lanes must divide columns (4) or be 0, not 3"),
    ({"axi_outstanding": 17}, "axi_outstanding must be in 1..16, not 17"),
    ({"tape_queue_rows": 4}, "tape_queue_rows must be in 8..65536, not 4"),
    ({"tape_queue_rows": 24}, "tape_queue_rows must be a power of two, not 24"),
    ({"tape_source": "dma"}, "tape_source must be one of axi, stream, memory, not 'dma'"),
    ({"tape_source": "memory"}, "tape_memory_bytes must be positive with tape_source 'memory' alone, not 0"),
    ({"tape_memory_bytes": 64}, "tape_memory_bytes must be positive with tape_source 'memory' alone, not 64"),
    ({"tape_source": "memory", "tape_memory_bytes": 99}, "tape_memory_bytes must be in 100..16777216, not 99"),
    ({"tape_source": "memory", "tape_memory_bytes": 102}, "tape_memory_bytes must be a multiple of 4, not 102"),
    ({"tape_source": "memory", "tape_memory_bytes": 212, "rows": 8, "columns": 8, "tape_width": 64},
     "tape_memory_bytes must be a multiple of 8, not 212"),
    ({"tape_width": 40}, "tape_width must be of bytes whose number divides columns (4), not 40"),
    ({"tape_width": 24}, "tape_width must be of bytes whose number divides columns (4), not 24"),
    ({"tape_width": 12}, "tape_width must be of bytes whose number divides columns (4), not 12"),
    ({"columns": 3, "tape_width": 24}, "tape_width must be a power of two with tape_source 'axi', not 24"),
    ({"columns": 3, "tape_width": 24, "tape_source": "memory", "tape_memory_bytes": 512},
     "tape_width must be a power of two with tape_source 'memory', not 24"),
    ({"rows": 256, "columns": 256, "tape_width": 2048, "tape_queue_rows": 512},
     "tape_width must be at most 1024 with tape_source 'axi', not 2048"),
    ({"image_lanes": 5}, "image_lanes must be in 1..4, not 5"),
    ({"image_lanes": 3}, "image_lanes must divide rows (4), not 3"),
    ({"image_banks": "shared"}, "image_banks must be one of own, activations, not 'shared'"),
    ({"image_banks": "activations", "image_memory": "block"},
     "image_memory must be 'auto' unless image_banks is 'own', not 'block'"),
    ({"activation_memory": "ultra"},
     "activation_memory must be one of auto, block, distributed, split, huge, not 'ultra'"),
    ({"tape_memory": None}, "tape_memory must be one of auto, block, distributed, split, huge, not None"),
    *(({field: "huge"}, f"{field} must be of a kind that is read and written in the same cycle, not 'huge'")
      for field in ("activation_memory", "residual_memory", "kernel_memory", "partial_sum_memory",
                    "tape_queue_memory")),
    ({"tape_memory": "block"}, "tape_memory must be 'auto' unless tape_source is 'memory', not 'block'"),
    ({"input_timeout": 0}, "input_timeout must be in 1..4294967295, not 0"),
])  # fmt: skip
def test_rule_is_told(changes, text):
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        NetworkConfig.from_mapping(SMALL | changes)


def test_keys_are_checked():
    with pytest.raises(ConfigError, match="^configuration key must be one of name, rows, .*, not 'row'$"):
        NetworkConfig.from_mapping(SMALL | {"row": 4})
    with pytest.raises(ConfigError, match="^configuration must have the key 'columns'$"):
        NetworkConfig.from_mapping({key: value for key, value in SMALL.items() if key != "columns"})


def test_the_shortest_tape_is_header_end_and_crc():
    assert config_of("default").shortest_tape == 32 + 64 + 4
    assert config_of("odd").shortest_tape == 33 + 66 + 6


def test_hidden_features_of_few_tokens_need_less_memory():
    def depth(mlp_tokens):
        return NetworkConfig.from_mapping(SMALL | {"mlp_tokens": mlp_tokens}).activation_depth

    # 17 tokens of 24 features in tiles of 4; beside them 12 tiles of hidden features; or Q, of two heads of 2 tiles
    # each, and Z, of 3 heads of 2 tiles each.
    assert depth(0) == depth(17) == 17 * 6 + 17 * 12
    assert depth(16) == 17 * 6 + 16 * 12
    assert depth(15) == 17 * 6 + 15 * 12 > depth(14) == depth(1) == 17 * 6 + 17 * (2 * 2 + 3 * 2)


def test_an_image_among_activations_needs_no_memory_of_its_own():
    for patch, deepest in ((12, "activation_depth"), (100, "image_depth")):
        own, shared = (
            NetworkConfig.from_mapping(SMALL | {"max_patch": patch, "image_banks": banks})
            for banks in ("own", "activations")
        )
        assert shared.activation_bank_depth == getattr(own, deepest)
        assert shared.buffer_bytes["activations"] == 4 * getattr(own, deepest)
        assert "image" not in shared.buffer_bytes and own.buffer_bytes["image"] == 4 * own.image_depth


def test_a_tape_is_for_what_its_bytes_depend_on():
    base = NetworkConfig.from_mapping(SMALL)
    same = [{"name": "other"}, {"tape_source": "stream"}, {"tape_width": 16}, {"axi_outstanding": 1}, {"prefix": "a_"},
            {"image_memory": "huge"}, {"kernel_memory": "block"}, {"norm_lanes": 1},
            {"image_banks": "activations"}]  # fmt: skip
    assert {NetworkConfig.from_mapping(SMALL | changes).tape_hash for changes in same} == {base.tape_hash}
    other = [{"max_tokens": 18}, {"mlp_tokens": 4}, {"residual_width": 9}, {"columns": 2}, {"max_classes": 11}]
    hashes = {NetworkConfig.from_mapping(SMALL | changes).tape_hash for changes in other}
    assert len(hashes) == len(other) and base.tape_hash not in hashes


BANKS = {  # field -> the banks of the buffer, as a row, a column or the whole has them
    "activation_memory": ["activation_bank"],
    "image_memory": ["image_bank"],
    "residual_memory": ["residual_bank"],
    "kernel_memory": ["kernel_row.k_bank", "kernel.v_bank", "kernel.g_bank"],
    "partial_sum_memory": ["accumulator.sums"],
    "tape_queue_memory": ["tape_bank"],
    "tape_memory": ["host_side.tape_source.bank_0"],
}


def test_each_buffer_becomes_the_memory_that_its_field_says():
    """On two accelerators, whose kinds together are other ones for each buffer; all other banks stay as they are."""
    kinds, found = MemoryBank.kinds, {}
    pairs = {field: (kinds[number % 3], kinds[number // 3]) for number, field in enumerate(BANKS, 1)}
    for place in range(2):
        fields = {field: pair[place] for field, pair in pairs.items()}
        config = NetworkConfig.from_mapping(SMALL | {"tape_source": "memory", "tape_memory_bytes": 512} | fields)
        for path, block in instances(NetworkAccelerator(config)):
            if isinstance(block, MemoryBank):
                found.setdefault(path, []).append(block.kind)
    expected = {bank: pairs[field] for field, banks in BANKS.items() for bank in banks}
    told = set()
    for path, pair in found.items():
        bank = re.sub(r".*\.(row|column)_\d\.", "", path)
        told.add(bank)
        assert tuple(pair) == expected.get(bank, ("auto", "auto")), path
    assert expected.keys() <= told


@pytest.mark.parametrize(("lanes", "columns"), [(0, 1), (4, 1), (2, 2), (1, 4)])
def test_columns_share_lanes(lanes, columns):
    assert NetworkConfig.from_mapping(SMALL | {"norm_lanes": lanes}).columns_per_lane == columns
