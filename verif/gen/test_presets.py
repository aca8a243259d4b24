"""Presets and configuration files, and what is said about wrong ones."""

import json
import re

import pytest

from taylorvit.boundary.reading import FileError
from taylorvit.gen.presets import load_file, load_metadata, load_preset, of_kind, preset_names
from taylorvit.golden.network.vit import SHAPES
from taylorvit.rtl.config import AcceleratorConfig, ConfigError
from taylorvit.rtl.network.config import NetworkConfig

EXTENDED = ", ".join(sorted([*preset_names(), "base", "network-base"]))


def test_presets_in_order_of_size():
    attention = ["tiny-4x4", "edge-16x8", "edge-16x16", "edge-16x16-softmax", "paper-64x64"]
    network = ["vit-tiny-4x4", "vit-tiny-4x4-mixed", "vit-16x8", "vit-16x16", "vit-16x16-mixed", "vit-64x64",
               "vit-64x64-mixed"]  # fmt: skip
    assert preset_names() == attention + network
    assert (preset_names("attention"), preset_names("network")) == (attention, network)


@pytest.mark.parametrize("name", preset_names())
def test_preset_is_named_after_its_file(name):
    assert load_preset(name).name == name
    assert f"{load_preset(name).rows}x{load_preset(name).columns}" in name


@pytest.mark.parametrize("name", ["edge-16x8", "edge-16x16", "edge-16x16-softmax", "paper-64x64"])
def test_large_presets_hold_deit_and_their_streams_keep_up(name):
    config = load_preset(name)
    assert (config.max_tokens, config.max_head_dim, config.data_width) == (256, 64, 8)
    assert 197 * -(-64 // config.stream_lanes) <= config.array_cycles(197, 64)


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("vit-tiny-4x4", ["vit_8"]),
        ("vit-16x8", ["deit_tiny", "deit_tiny_distilled", "vit_28", "vit_25", "vit_8"]),
        ("vit-16x16", ["deit_tiny", "deit_tiny_distilled", "vit_28", "vit_25", "vit_8"]),
        ("vit-64x64", ["deit_tiny", "deit_small", "deit_base", "deit_base_distilled", "vit_28"]),
        ("vit-tiny-4x4-mixed", ["vit_8"]),
        ("vit-16x16-mixed", ["deit_tiny", "deit_tiny_distilled", "vit_28"]),
        ("vit-64x64-mixed", ["deit_small", "deit_base", "deit_base_distilled"]),
    ],
)
def test_networks_fit_and_their_weights_keep_up(name, models):
    config = load_preset(name)
    for model in models:
        shape = SHAPES[model]
        assert shape.tokens <= config.max_tokens and shape.width <= config.max_width
        assert shape.mlp_ratio * shape.width <= config.max_hidden and shape.classes <= config.max_classes
        assert shape.channels * shape.patch_size**2 <= config.max_patch
        assert shape.heads <= config.max_heads and shape.head_dim <= config.max_head_dim
    tokens = SHAPES[models[0]].tokens
    assert config.rows * config.columns <= tokens * config.tape_bytes


def test_configuration_is_of_the_accelerator_that_is_asked_for():
    attention, network = load_preset("tiny-4x4"), load_preset("vit-tiny-4x4")
    assert of_kind(attention, AcceleratorConfig, "build") is attention
    assert of_kind(network, NetworkConfig, "compile") is network
    text = (
        "build must have a configuration of accelerator 'attention' (tiny-4x4, edge-16x8, edge-16x16, "
        "edge-16x16-softmax, paper-64x64), "
        "not 'vit-tiny-4x4' of 'network'"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        of_kind(network, AcceleratorConfig, "build")
    with pytest.raises(ConfigError, match="^compile must have a configuration of accelerator 'network'"):
        of_kind(attention, NetworkConfig, "compile")


@pytest.mark.parametrize("name", ["tiny-4x4", "vit-16x16"])
def test_configuration_of_generated_accelerator(tmp_path, name):
    config = load_preset(name)
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps({"accelerator": config.accelerator, "configuration": config.to_mapping()}))
    assert load_metadata(path) == config
    path.write_text(json.dumps({"accelerator": "gpu", "configuration": config.to_mapping()}))
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: accelerator must be one of attention, network"):
        load_metadata(path)
    path.write_text("{}")
    with pytest.raises(FileError, match="must be the metadata.json of an accelerator"):
        load_metadata(path)


def test_unknown_preset_lists_the_known():
    text = f"preset must be one of {', '.join(preset_names())}, not 'huge'"
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        load_preset("huge")
    for name in ("base", "network-base", "../presets/tiny-4x4", "", None, ["tiny-4x4"]):
        with pytest.raises(ConfigError, match="preset must be one of"):
            load_preset(name)


def test_file_of_a_user(tmp_path):
    path = tmp_path / "my board.toml"
    path.write_text('extends = "edge-16x16"\nmax_tokens = 1024\n')
    changes = {"name": "my-board", "max_tokens": 1024}
    assert load_file(path) == AcceleratorConfig(**load_preset("edge-16x16").to_mapping() | changes)
    path.write_text('name = "mine"\nrows = 4\ncolumns = 4\n')
    assert load_file(path) == AcceleratorConfig(name="mine", rows=4, columns=4)


@pytest.mark.parametrize(("file", "name"), [
    ("größe 16x16.toml", "gr--e-16x16"), ("x².4.toml", "x--4"), ("_a-B.toml", "_a-B"),
])  # fmt: skip
def test_name_of_a_file_becomes_a_name(tmp_path, file, name):
    path = tmp_path / file
    path.write_text("rows = 4\ncolumns = 4\n")
    assert load_file(path).name == name


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("rows = 4\ncolumns = [", "file must be TOML: invalid value (at end of document)"),
        ("rows = 4", "configuration must have the key 'columns'"),
        ('extends = "edge-16x16"\nrow = 4', "configuration key must be one of name, rows, columns, "),
        ('extends = "edge-16x16"\nrows = 1', "rows must be in 2..256, not 1"),
        ('extends = "huge"', f"extends must be one of {EXTENDED}, not 'huge'"),
        ("extends = 4", f"extends must be one of {EXTENDED}, not 4"),
        ("# \xff".encode("latin-1"), "file must be TOML in UTF-8, not other bytes"),
        ('accelerator = "gpu"', "accelerator must be one of attention, network, not 'gpu'"),
        ("accelerator = []", "accelerator must be one of attention, network, not []"),
        ('accelerator = "network"\nrows = 4', "configuration must have the key 'columns'"),
        (
            'extends = "edge-16x16"\naccelerator = "network"',
            "configuration key must be one of name, rows, columns, kernel",
        ),
        ('extends = "vit-16x16"\nmax_width = 0', "max_width must be in 1..4096, not 0"),
        (None, "file must be readable: no such file or directory"),
    ],
)
def test_wrong_file_is_named_with_key_value_and_rule(tmp_path, content, text):
    path = tmp_path / "wrong.toml"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((ConfigError, FileError)) as error:
        load_file(path)
    assert str(error.value).startswith(f"{path}: {text}")
