"""`load`: the command of the board, typed or run."""

import shlex

from .running import run


def test_load_types_the_command_or_runs_it(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    bitstream = tmp_path / "build" / "fpga" / "ulx3s-85f" / "0123456789ab" / "ulx3s-85f.bit"
    status, _out, err = run(capsys, "load", "--board", "ulx3s-85f")
    assert status == 2 and "bitstream of ulx3s-85f must be built first" in err
    bitstream.parent.mkdir(parents=True)
    bitstream.write_bytes(b"")
    monkeypatch.setenv("PATH", str(tmp_path))
    status, out, err = run(capsys, "load", "--board", "ulx3s-85f")
    assert shlex.split(out) == ["openFPGALoader", "-b", "ulx3s", str(bitstream.relative_to(tmp_path))]
    assert (status, err) == (
        2,
        "taylorvit: error: openFPGALoader was not found on PATH: install it, and type the line above\n",
    )
    (tmp_path / "openFPGALoader").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "openFPGALoader").chmod(0o755)
    assert run(capsys, "load", "--board", "ulx3s-85f", str(bitstream))[0] == 0
    status, _out, err = run(capsys, "load", "--board", "ulx3s-85f", "nowhere.bit")
    assert (status, err) == (2, "taylorvit: error: bitstream must be a file, not 'nowhere.bit'\n")


def test_load_of_a_network(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    of_network = ("load", "--board", "ulx3s-25f", "--network", "digits")
    status, _out, err = run(capsys, *of_network)
    assert (status, err) == (
        2,
        "taylorvit: error: bitstream of ulx3s-25f-digits must be built first: "
        "taylorvit build --board ulx3s-25f --network digits\n",
    )
    for name in ("ulx3s-25f", "ulx3s-25f-digits"):
        bitstream = tmp_path / "build" / "fpga" / name / "0123456789ab" / f"{name}.bit"
        bitstream.parent.mkdir(parents=True)
        bitstream.write_bytes(b"")
    monkeypatch.setenv("PATH", str(tmp_path))
    _status, out, _err = run(capsys, *of_network)
    assert shlex.split(out)[-1] == str(bitstream.relative_to(tmp_path))
    _status, out, _err = run(capsys, "load", "--board", "ulx3s-25f")
    assert shlex.split(out)[-1] == "build/fpga/ulx3s-25f/0123456789ab/ulx3s-25f.bit"
    assert "network of ulx3s-25f must be one of " in run(capsys, *of_network[:-1], "cats")[2]
    assert "--network must come without a file" in run(capsys, *of_network, str(bitstream))[2]
