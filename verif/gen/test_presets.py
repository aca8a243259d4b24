"""Presets and configuration files, and what is said about wrong ones."""

import re

import pytest

from taylorvit.boundary.reading import FileError
from taylorvit.gen.presets import load_file, load_preset, preset_names
from taylorvit.rtl.config import AcceleratorConfig, ConfigError


def test_presets_in_order_of_size():
    assert preset_names() == ["tiny-4x4", "edge-16x8", "edge-16x16", "paper-64x64"]


@pytest.mark.parametrize("name", preset_names())
def test_preset_is_named_after_its_file(name):
    assert load_preset(name).name == name
    assert f"{load_preset(name).rows}x{load_preset(name).columns}" in name


@pytest.mark.parametrize("name", ["edge-16x8", "edge-16x16", "paper-64x64"])
def test_large_presets_hold_deit_and_their_streams_keep_up(name):
    config = load_preset(name)
    assert (config.max_tokens, config.max_head_dim, config.data_width) == (256, 64, 8)
    assert 197 * -(-64 // config.stream_lanes) <= config.array_cycles(197, 64)


def test_unknown_preset_lists_the_known():
    text = "preset must be one of tiny-4x4, edge-16x8, edge-16x16, paper-64x64, not 'huge'"
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        load_preset("huge")
    for name in ("base", "../presets/tiny-4x4", "", None, ["tiny-4x4"]):
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
        ('extends = "huge"', "extends must be one of base, edge-16x16, edge-16x8, paper-64x64, tiny-4x4, not 'huge'"),
        ("extends = 4", "extends must be one of base, edge-16x16, edge-16x8, paper-64x64, tiny-4x4, not 4"),
        ("# \xff".encode("latin-1"), "file must be TOML in UTF-8, not other bytes"),
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
