"""`generate`: what it prints, its errors in one line, its exit status."""

import pytest

from taylorvit.__main__ import main
from taylorvit.gen.presets import preset_names

from .running import fails


def test_generate(capsys, small, tmp_path):
    folder = tmp_path / "out"
    assert main(["generate", "--config", str(small), "-o", str(folder)]) == 0
    assert f"wrote      {folder / 'taylorvit.v'}\n" in capsys.readouterr().out
    assert (folder / "taylorvit.v").is_file()
    assert main(["generate", "--config", str(small), "-o", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert f"unchanged  {folder / 'taylorvit.v'}\n" in printed
    assert "wrote" not in printed


def test_generate_goes_into_build(capsys, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "--config", str(small)]) == 0
    assert (tmp_path / "build" / "small" / "metadata.json").is_file()


@pytest.mark.parametrize(("arguments", "text"), [
    (["generate", "--preset", "huge"], f"preset must be one of {', '.join(preset_names())}, not 'huge'\n"),
    (["generate", "--preset", "ulx3s-85f"],
     "not 'ulx3s-85f', a preset of ulx3s-85f: where a command takes --board, --board B --preset ulx3s-85f\n"),
    (["info", "--preset", "deit-tiny"],
     "not 'deit-tiny', a network of ulx3s-85f: where a command takes --board, --board B --network deit-tiny\n"),
    (["build", "--board", "icebreaker", "--preset", "ulx3s-25f"],
     "not 'ulx3s-25f', a preset of ulx3s-25f: where a command takes --board, --board B --preset ulx3s-25f\n"),
    (["generate", "--config", "absent.toml"], "taylorvit: error: absent.toml: file must be readable: no such file "
                                              "or directory\n"),
    (["info", "--preset", ""], "taylorvit: error: preset must be one of "),
    (["generate"], "one of the arguments --preset --config is required"),
    (["generate", "--preset", "tiny-4x4", "--config", "a.toml"], "not allowed with argument --preset"),
])  # fmt: skip
def test_wrong_request(capsys, arguments, text):
    assert text in fails(capsys, *arguments)


def test_wrong_value_names_file_key_value_and_rule(capsys, small):
    small.write_text(small.read_text() + "pe_pipeline = 9\n")
    assert fails(capsys, "generate", "--config", small) == (
        f"taylorvit: error: {small}: pe_pipeline must be in 0..4, not 9\n"
    )


def test_folder_that_cannot_be_written(capsys, small, tmp_path):
    (tmp_path / "file").write_text("")
    error = fails(capsys, "generate", "--config", small, "-o", tmp_path / "file" / "out")
    assert error == (
        f"taylorvit: error: output must be a folder, not {str(tmp_path / 'file' / 'out')!r}: "
        f"{str(tmp_path / 'file')!r} is a file\n"
    )


@pytest.mark.parametrize(
    "command",
    ["generate --config a.toml", "build --board icebreaker", "train --config digits", "inspect a.safetensors"],
)
def test_folder_without_a_name(capsys, command):
    assert "argument -o/--output: must be a folder, not ''" in fails(capsys, *command.split(), "-o", "")


def test_interrupt(capsys, monkeypatch, small):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("taylorvit.gen.generate.emit_with_blocks", interrupt)
    assert main(["generate", "--config", str(small)]) == 130
    assert capsys.readouterr().err.endswith("taylorvit: error: interrupted\n")
