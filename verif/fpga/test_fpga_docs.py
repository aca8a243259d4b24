"""docs/fpga.md is true: its frames and Python sessions, its example, its tables."""

from __future__ import annotations

import doctest
import re
import textwrap
import tomllib
from pathlib import Path

import torch

import taylorvit.fpga.board
import taylorvit.fpga.driver
import taylorvit.fpga.flow.report
from taylorvit.__main__ import main
from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.clock_generator import core_clock
from taylorvit.fpga.families.ecp5.array_figures import FORMS_SHOWN
from taylorvit.fpga.protocol import PAYLOAD_EXTRA, FrameDecoder, FrameType, Status, Stream
from taylorvit.gen.presets import load_preset
from taylorvit.golden.attention.float_attention import taylor_attention
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.golden.reports.sqnr import sqnr_db
from taylorvit.jobs.images import read_images
from taylorvit.models import bundled_model
from taylorvit.rtl.array.multiplier import FORMS
from verif import ROOT
from verif.taylorvit.small import SMALL_OF_THE_DOCUMENTS

from .board_model import BoardModel

PAGE = ROOT / "docs" / "fpga.md"
TEXT = PAGE.read_text(encoding="utf-8")


def _section(heading: str) -> str:
    """The text below a heading, up to the next."""
    (text,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return text


def _tables(text: str) -> list[list[list[str]]]:
    """The tables in a text: rows of cells, without heading."""
    tables = re.findall(r"^\|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in table.splitlines()] for table in tables
    ]


def test_tables_of_boards():
    """What a failure shows is what has to be on the page."""
    boards, wiring, networks = [], [], []
    for name in board_names():
        board = load_board(name)
        for preset_name, preset in board.presets.items():
            config = preset.config
            clock = core_clock(board.with_core_hz(preset.core_hz))
            of_board = preset_name == board.default_preset
            boards.append(
                [
                    f"`{name}`" if of_board else "",
                    board.device_and_speed if of_board else "",
                    f"`{preset_name}`",
                    f"{config.rows} x {config.columns}, {config.rows} x 1",
                    f"{float(clock.hz) / 1e6:.4g} MHz",
                    f"{config.max_tokens}, {config.max_head_dim}",
                    f"{sum(config.buffer_bytes.values()):,}",
                    f"{board.baud / 1e6:g} Mbaud" if of_board else "",
                ]
            )
        wiring.append([board.title, " ".join(board.notes.split())])
        for index, (network_name, network) in enumerate(board.networks.items()):
            config = network.config
            clock = core_clock(board.with_core_hz(network.core_hz))
            on_chip = config.tape_source == "memory"
            networks.append(
                [
                    "" if index else f"`{name}`",
                    f"`{network_name}`",
                    f"{config.rows} x {config.columns}, {config.rows} x 1",
                    f"{float(clock.hz) / 1e6:.4g} MHz",
                    config.kernel,
                    f"{config.max_tokens}, {config.max_width}",
                    f"{config.tape_memory_bytes:,} bytes on the chip" if on_chip else "external memory",
                ]
            )
    for rows in (boards, wiring, networks):
        table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
        assert f"|\n{table}\n" in TEXT, f"{PAGE.name} must have this table:\n{table}"


def test_keys_of_a_board():
    """Every key of every board is in the table, and every key in the table is one of some board, or may be left out."""
    (rows,) = _tables(_section("Adding a board"))
    documented = set()
    for row in rows:
        keys = re.findall(r"`([\w.]+)`", row[0])
        table, dot, _key = keys[0].rpartition(".")
        documented |= {key if "." in key else f"{table}{dot}{key}" for key in keys}
    of_placement = ("seed", "margin_percent")
    used = set()
    for name in board_names():
        content = tomllib.loads(
            (Path(taylorvit.fpga.board.__file__).parent / "boards" / f"{name}.toml").read_text("utf-8")
        )
        for key, value in content.items():
            if key in ("presets", "networks"):
                fields = {field for preset in value.values() for field in preset}
                used |= {f"{key}.NAME.{field}" for field in fields & {"core_hz", *of_placement, "extends"}}
            elif isinstance(value, dict):
                used |= {f"{key}.{field}" for field in value if field != "io"}
            else:
                used.add(key)
    assert used <= documented
    optional = {"tools.synthesis", "tools.place_and_route"}
    optional |= {f"{key}.NAME.{field}" for key in ("presets", "networks") for field in of_placement}
    assert documented - used <= optional


def test_names_in_a_report():
    (names,) = _tables(_section("Reading a report"))[:1]
    documented = {name for row in names for name in re.findall(r"`(\w+)`", row[0])}
    described = re.findall(r"^    (\w[\w, ]*?)(?:  +\S.*)?$", taylorvit.fpga.flow.report.__doc__, re.MULTILINE)
    assert documented == {name for line in described for name in line.split(", ")}


def test_forms_of_the_multiplier():
    forms = [table for table in _tables(_section("Technology mapping")) if table[0][0].startswith("`")]
    assert [row[0].strip("`") for row in forms[0]] == list(FORMS)
    figures = [table for table in _tables(_section("Technology mapping")) if len(table[0]) == 7]
    assert [tuple(row[:3]) for row in figures[0]] == [tuple(map(str, form)) for form in FORMS_SHOWN]


def test_example_of_run(tmp_path, monkeypatch, capsys):
    """The files as they are made there, the command, and what it prints but for the seconds."""
    section = textwrap.dedent(_section("Loading and running"))
    (configuration,) = re.findall(r"\$ cat small.toml\n((?:    .+\n)+)", section)
    assert textwrap.dedent(configuration) == SMALL_OF_THE_DOCUMENTS.lstrip()  # the simulation is the one of that test
    (tmp_path / "small.toml").write_text(textwrap.dedent(configuration), encoding="utf-8")
    (program,) = re.findall(r"\$ python -c '([^']*)'", section)
    monkeypatch.chdir(tmp_path)
    exec(textwrap.dedent(f"    {program}"), {})
    (command, shown) = re.findall(r"\$ taylorvit (run .*)\n((?:    .*\n)+)", section)[0]
    assert main(command.split()) == 0
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for shown_line, printed_line in zip(shown.splitlines(), printed, strict=True):
        if "simulation" not in printed_line:
            assert shown_line.strip() == printed_line


def test_python_sessions():
    result = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert result.attempted > 5
    assert result.failed == 0


def test_worked_example():
    """The two frames that are taken apart, put together again."""
    _format, request, answer = _tables(_section("The link, byte by byte"))
    frames = []
    for rows in (request, answer):
        data = bytes.fromhex(" ".join(row[0].strip("`") for row in rows))
        frames += FrameDecoder().feed(data)
    read, answered = frames
    assert (read.type, read.tag, read.payload) == (FrameType.READ, 7, b"\0\0")
    assert (answered.type, answered.tag) == (FrameType.READ | 0x80, 7)
    assert answered.payload == bytes([Status.OK]) + b"TAYL"[::-1]


def test_unasked_error():
    (text,) = re.findall(r"tag 0,\s+`([0-9A-F ]+)`\s+for BAD_HEADER", TEXT)
    (frame,) = FrameDecoder().feed(bytes.fromhex(text))
    assert (frame.type, frame.tag, frame.payload) == (FrameType.ERROR, 0, bytes([Status.BAD_HEADER]))


def test_tables_of_the_protocol():
    (requests,) = _tables(_section("Requests"))
    assert [(int(row[0].strip("`"), 16), row[1]) for row in requests] == [
        (kind, kind.name) for kind in FrameType if kind is not FrameType.ERROR
    ]
    (statuses,) = _tables(_section("Statuses and errors"))
    assert [(int(row[0]), row[1]) for row in statuses] == [(status, status.name) for status in Status]
    (streams,) = re.findall(r"\| 1 \| stream \| (.*) \|", TEXT)
    assert streams == ", ".join(f"{stream} {stream.name}" for stream in Stream)
    assert f"0 to `payload_max` + {PAYLOAD_EXTRA}" in TEXT


def test_errors_are_those_of_the_driver():
    (errors,) = [table for table in _tables(_section("From Python")) if any("PortError" in row[0] for row in table)]
    named = {row[0].strip("`") for row in errors}
    exist = {
        name
        for name in taylorvit.fpga.driver.__all__
        if isinstance(member := getattr(taylorvit.fpga.driver, name), type)
        and issubclass(member, taylorvit.fpga.driver.DriverError)
    }
    assert named == exist - {"DriverError"}


def _program(heading: str) -> str:
    """The program of a section that uses the driver."""
    (program,) = re.findall(
        r"^((?:    (?!>>>).*\n|\n)*    with TaylorVit.*\n(?:    .*\n)*)", _section(heading), re.MULTILINE
    )
    return program


def test_example_of_a_network(monkeypatch, capsys, tmp_path):
    """Run as it stands, with a model of a board, and the model that is compiled at the head of the page."""
    (command,) = re.findall(r"^    taylorvit (compile .*)$", TEXT, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 0
    capsys.readouterr()
    board = BoardModel(load_board("ulx3s-25f").network("digits").config, baud=3_000_000)
    monkeypatch.setattr(taylorvit.fpga.driver, "SerialPort", lambda path, baud: board)
    vit, taken = load_integer_vit(bundled_model("digits")), []

    def logits(image, tape, classes):
        taken.append(image)
        return golden[len(taken) - 1]

    golden = vit(read_images(["digits:0-9"], vit.shape).pixels.astype("int64"))
    board._accelerator.logits = logits
    exec(compile(textwrap.dedent(_program("A network from Python")), str(PAGE), "exec"), {})
    sent, classes = capsys.readouterr().out.splitlines()
    size = (tmp_path / "build/digits/model.tape").stat().st_size
    assert sent == f"{size} bytes sent, 0 were there"
    assert classes == str([str(number) for number in golden.argmax(1)])
    assert len(set(taken)) == 10 and board.closed


def test_example_of_the_driver(monkeypatch, capsys):
    """Run as it stands, with a model of a board at the serial port."""
    example = _program("From Python")
    ports = []

    def serial_port(path, baud):
        ports.append(BoardModel(load_preset("tiny-4x4"), baud=baud))
        return ports[-1]

    monkeypatch.setattr(taylorvit.fpga.driver, "SerialPort", serial_port)
    variables = {}
    exec(compile(textwrap.dedent(example), str(PAGE), "exec"), variables)
    assert capsys.readouterr().out == "4 rows, 2 heads\n"
    assert ports[0].closed
    expected = taylor_attention(*(torch.from_numpy(variables[name]) for name in "qkv")).z
    assert sqnr_db(expected.numpy(), variables["z"]) > 25
