"""What the generator writes is what the golden model reads; anything else is refused by name."""

import json

import pytest

from gen.generate import generate
from gen.presets import load_preset
from golden.accelerator import load_accelerator
from verif.bench.accelerator import format_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    generate(load_preset("tiny-4x4"), path)
    return path


def test_it_is_that_of_the_configuration(folder):
    config = load_preset("tiny-4x4")
    accelerator = load_accelerator(folder / "metadata.json")
    assert accelerator.number_format == format_of(config)
    assert accelerator[2:] == (config.max_tokens, config.max_head_dim) and accelerator.name == "tiny-4x4"
    accelerator.check(config.max_tokens, config.max_head_dim)
    with pytest.raises(ValueError, match="^tokens must be at most 64 on tiny-4x4, not 65$"):
        accelerator.check(65, 1)
    with pytest.raises(ValueError, match="^head_dim must be at most 16 on tiny-4x4, not 17$"):
        accelerator.check(1, 17)


@pytest.mark.parametrize(
    ("table", "name", "value", "text"),
    [
        ("configuration", "data_width", None, "and lacks 'data_width'$"),
        ("derived", "shift_g_max", None, "and lacks 'shift_g_max'$"),
        ("configuration", "data_width", 99, "data_width must be 2 to 24|63, not 99"),
        ("configuration", "max_tokens", "many", "max_tokens must be an integer, not 'many'"),
        ("configuration", "max_tokens", 0, "max_tokens must be at least 1, not 0"),
    ],
)
def test_what_is_none(folder, tmp_path, table, name, value, text):
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata[table][name] = value
    if value is None:
        del metadata[table][name]
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match=f"metadata.json: file must be the metadata.json of an accelerator.*{text}"):
        load_accelerator(tmp_path / "metadata.json")


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", '{"configuration": 1, "derived": 2}', "\ufeff{"])
def test_files_that_are_something_else(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match="a.json: file must be the metadata.json of an accelerator"):
        load_accelerator(tmp_path / "a.json")
