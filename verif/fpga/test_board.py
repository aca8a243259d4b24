"""Board files: they agree with amaranth-boards where it knows the board, and a wrong key is a clear error."""

import tomllib
from pathlib import Path

import pytest
from amaranth_boards.ecpix5 import ECPIX585Platform
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_85FPlatform
from amaranth_boards.tang_nano_9k import TangNano9kPlatform
from amaranth_boards.ulx3s import ULX3S_25F_Platform, ULX3S_85F_Platform

import taylorvit.fpga.board
from taylorvit.boundary.reading import FileError
from taylorvit.fpga.board import BoardError, board_names, load_board, load_board_file

PLATFORMS = {
    "ulx3s-85f": ULX3S_85F_Platform,
    "ulx3s-25f": ULX3S_25F_Platform,
    "ecpix-5-85": ECPIX585Platform,
    "orangecrab-85f": OrangeCrabR0_2_85FPlatform,
    "tang-nano-9k": TangNano9kPlatform,
    "icebreaker": ICEBreakerPlatform,
}
#: amaranth-boards has Lattice's order codes, nextpnr names of packages.
PACKAGES = {"BG381": "CABGA381", "BG554": "CABGA554", "MG285": "CSFBGA285", "SG48": "SG48"}

GOOD = (Path(taylorvit.fpga.board.__file__).parent / "boards" / "icebreaker.toml").read_text()


def pins_of(platform, name, number=0, subsignal=None):
    """(pins, whether low is active) of a resource of amaranth-boards."""
    resource = platform.resources[name, number]
    ios = resource.ios
    if subsignal is not None:
        (ios,) = [each.ios for each in ios if getattr(each, "name", None) == subsignal]
    pins = ios[0]
    return pins.names, pins.invert


@pytest.fixture
def board_file(tmp_path):
    """A function that writes a changed copy of a good board's file and returns its path."""

    def write(old, new):
        assert old in GOOD
        path = tmp_path / "icebreaker.toml"
        path.write_text(GOOD.replace(old, new, 1))
        return path

    return write


def test_every_board_is_one_file_and_all_are_listed():
    names = {"ulx3s-85f", "ulx3s-25f", "ecpix-5-85", "orangecrab-85f", "tang-nano-9k", "tang-nano-20k", "icebreaker"}
    assert names <= set(board_names())
    assert board_names() == sorted(board_names())


@pytest.mark.parametrize("name", sorted(PLATFORMS))
def test_pins_clock_and_device_are_those_of_amaranth_boards(name):
    board, platform = load_board(name), PLATFORMS[name]()
    clock = platform.resources[platform.default_clk, 0]
    assert board.clock.pins[0] in clock.ios[0].names
    assert board.clock_hz == clock.clock.frequency
    if board.family.name == "gowin":
        # The bitstream is that of the chip without the memory beside it (R).
        assert (board.device, board.part["chip"]) == (platform.part, platform.family.replace("R", ""))
    else:
        assert board.device == platform.device.removeprefix("iCE40")
        assert board.part["package"] == PACKAGES[platform.package]
    if board.family.name == "ecp5":
        assert board.part["speed"] == platform.speed


@pytest.mark.parametrize("name", sorted(set(PLATFORMS) - {"orangecrab-85f"}))
def test_uart_is_that_of_amaranth_boards(name):
    board, platform = load_board(name), PLATFORMS[name]()
    assert pins_of(platform, "uart", subsignal="rx") == (list(board.uart_rx.pins), False)
    assert pins_of(platform, "uart", subsignal="tx") == (list(board.uart_tx.pins), False)


def test_uart_of_the_orangecrab_is_on_two_pins_of_its_connector():
    board, platform = load_board("orangecrab-85f"), PLATFORMS["orangecrab-85f"]()
    pins = platform.connectors["io", 0].mapping
    assert board.uart_rx.pins == (pins["0"],) and board.uart_tx.pins == (pins["1"],)


@pytest.mark.parametrize("name", sorted(PLATFORMS))
def test_leds_and_button_are_those_of_amaranth_boards(name):
    board, platform = load_board(name), PLATFORMS[name]()
    known = {}
    for resource in platform.resources.values():
        for each in [resource, *(io for io in resource.ios if hasattr(io, "ios"))]:
            pins = each.ios[0]
            if hasattr(pins, "names"):
                known = dict.fromkeys(pins.names, (resource.name, pins.invert)) | known  # the first use is the one
    for pin in board.led.pins:
        kind, active_low = known[pin]
        assert "led" in kind and active_low == board.led.active_low
    kind, active_low = known[board.button.pins[0]]
    assert kind.startswith(("button", "rst")) and active_low == board.button.active_low


@pytest.mark.parametrize("name", ["ulx3s-85f", "ulx3s-25f"])
def test_sdram_is_that_of_amaranth_boards(name):
    board, platform = load_board(name), PLATFORMS[name]()
    resource = platform.resources["sdram", 0]
    known = {}
    for signal in resource.ios:
        # They call a signal cs, which is active low there, what is cs_n here.
        pins = signal.ios[0]
        known[f"{signal.name}_n" if pins.invert else signal.name] = tuple(pins.names)
    renamed = {"clk_en": "cke", "cas": "cas_n", "ras": "ras_n"}
    assert {renamed.get(signal, signal): pins for signal, pins in known.items()} == {
        signal: pins.pins for signal, pins in board.sdram.pins.items()
    }
    (attributes,) = {tuple(sorted(pins.io.items())) for pins in board.sdram.pins.values()}
    assert {key: str(value) for key, value in attributes} == dict(resource.attrs)


def test_no_board_uses_a_pin_twice():
    for name in board_names():
        board = load_board(name)
        memory = board.sdram.pins.values() if board.sdram else ()
        pins = [
            pin
            for each in (board.clock, board.uart_rx, board.uart_tx, board.led, board.button, *memory)
            if each
            for pin in each.pins
        ]
        assert len(pins) == len(set(pins))


def test_first_preset_is_the_default():
    board = load_board("icebreaker")
    assert board.default_preset == "icebreaker"
    assert board.preset() == board.preset("icebreaker")
    assert board.preset().core_hz == board.core_hz
    assert board.preset().config.name == "icebreaker"


def test_networks_are_named_after_the_board():
    board = load_board("ulx3s-25f")
    assert board.network() == next(iter(board.networks.values()))
    for name, network in board.networks.items():
        assert network == board.network(name)
        assert network.config.accelerator == "network"
        assert network.config.name == f"ulx3s-25f-{name}"
    assert "digits" in board.networks
    with pytest.raises(BoardError, match=r"^network of ulx3s-25f must be one of .*digits.*, not 'deit-huge'$"):
        board.network("deit-huge")


def test_wrong_network_is_named(tmp_path):
    path = tmp_path / "icebreaker.toml"
    for label, fields, text in (
        ("small", "rows = 1", "networks.small: rows must be in 2..256, not 1"),
        ("small", "lines = 1", "networks.small: configuration key must be one of name, rows, "),
        ('"a b"', "", "networks must have names of ASCII letters, digits, '-' and '_', not 'a b'"),
        ('"../x"', 'name = "x"', "networks must have names of ASCII letters, digits, '-' and '_', not '../x'"),
        ('""', "", "networks must have names of ASCII letters, digits, '-' and '_', not ''"),
    ):
        path.write_text(f'{GOOD}\n[networks.{label}]\ncore_hz = 12_000_000\nextends = "vit-tiny-4x4"\n{fields}\n')
        with pytest.raises(BoardError) as caught:
            load_board_file(path)
        assert str(caught.value).startswith(f"{path}: {text}")


def test_name_of_the_file_is_that_of_folders(tmp_path):
    for name in ("my board", "bücher", "br[1]"):
        path = tmp_path / f"{name}.toml"
        path.write_text(GOOD)
        with pytest.raises(BoardError) as caught:
            load_board_file(path)
        rule = "a board's file must have a name of ASCII letters, digits, '-' and '_'"
        assert str(caught.value) == f"{path}: {rule}, not {name!r}"


def test_a_board_may_have_no_networks(tmp_path):
    path = tmp_path / "icebreaker.toml"
    path.write_text(GOOD.partition("\n[networks.")[0])
    board = load_board_file(path)
    assert not board.networks
    with pytest.raises(BoardError) as caught:
        board.network("digits")
    others = ", ".join(name for name in board_names() if load_board(name).networks)
    text = f"icebreaker has no networks; choose another board: {others}"
    assert str(caught.value) == f"cannot take network 'digits': {text}" and "ulx3s-25f" in others
    with pytest.raises(BoardError, match=f"^cannot take a network: {text}$"):
        board.network()


def test_presets_and_networks_are_of_their_accelerators(tmp_path):
    path = tmp_path / "icebreaker.toml"
    base = GOOD.partition("\n[networks.")[0]
    path.write_text(base + '[networks.digits]\ncore_hz = 12_000_000\nextends = "tiny-4x4"\n')
    with pytest.raises(BoardError, match="networks.digits must have a configuration of accelerator 'network' .*, no"):
        load_board_file(path)
    path.write_text(base.partition("[presets.")[0] + '[presets.a]\ncore_hz = 12_000_000\nextends = "vit-tiny-4x4"\n')
    with pytest.raises(BoardError, match="presets.a must have a configuration of accelerator 'attention' .*, not 'a'"):
        load_board_file(path)


def test_unknown_board_and_preset():
    with pytest.raises(BoardError, match=r"^board must be one of .*icebreaker.*, not 'nexys'$"):
        load_board("nexys")
    with pytest.raises(BoardError, match=r"^preset of icebreaker must be one of icebreaker, not 'huge'$"):
        load_board("icebreaker").preset("huge")


def test_speed_and_clock_can_be_changed():
    board = load_board("icebreaker")
    assert board.with_baud(115_200).baud == 115_200
    assert board.with_core_hz(24_000_000).core_hz == 24_000_000
    for change, value, error, text in (
        (board.with_baud, "fast", TypeError, "baud must be an integer, not 'fast'"),
        (board.with_baud, 10, ValueError, "baud must be at least 300, not 10"),
        (board.with_core_hz, 1.5, TypeError, "core_hz must be an integer, not 1.5"),
        (board.with_core_hz, 10, ValueError, "core_hz must be at least 1000000, not 10"),
    ):
        with pytest.raises(error) as caught:
            change(value)
        assert str(caught.value) == text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('family = "ice40"\n', "", "board must have the key 'family'"),
        ('family = "ice40"', 'family = "max"', "family must be one of ecp5, ice40, gowin, not 'max'"),
        ('package = "SG48"', "package = 48", "package must be text, not 48"),
        ('package = "SG48"', 'package = "SG48"\nchip = "x"', "key must be one that a board has, not 'chip'"),
        ("hz = 12_000_000", "hz = 12.5", "clock.hz must be an integer in 1000000..1000000000, not 12.5"),
        ("hz = 12_000_000", "hz = 12_000_000\nMHz = 12", "key must be one that a board has, not 'clock.MHz'"),
        ("send_bytes = 512", "send_bytes = 500", "uart.send_bytes must be a power of two, not 500"),
        ('pins = ["37", "11"]', "pins = []", "led.pins must be a list of texts, not []"),
        ('pins = ["37", "11"]', 'pins = ["37", "35"]', "pin must be used once, not '35' for several signals"),
        ("active_low = true", "active_low = 1", "led.active_low must be true or false, not 1"),
        ('io = { pullup = "yes" }', "io = 3", "uart.io must be a table of texts and integers, not 3"),
        ('"{bitstream}"]', "]", "loader.command must contain {bitstream}"),
        ("[loader]", "[load]", "board must have the key 'loader'"),
        ("rows = ", "lines = ", "presets.icebreaker: configuration key must be one of"),
        ("rows = 2", "rows = 2.0", "presets.icebreaker: rows must be an integer, not 2.0"),
        ('extends = "', 'extends = "un', "presets.icebreaker: extends must be one of"),
        ("[presets.icebreaker]", '[presets.""]', "presets must have names of ASCII letters, digits, '-' and '_', not "),
        ("title = ", "title = = ", "file must be TOML: "),
    ],
)
def test_wrong_keys(board_file, old, new, message):
    path = board_file(old, new)
    with pytest.raises((BoardError, FileError)) as caught:
        load_board_file(path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"MT48LC16M16"', '"DDR3"', "sdram.chip must be one of MT48LC16M16, AS4C32M16, not 'DDR3'"),
        ('ba = ["P19", "N20"]', 'ba = ["P19"]', "sdram.ba must have 2 pins for MT48LC16M16, not 1"),
        ('we_n = "T20"\n', "", "board must have the key 'sdram.we_n'"),
        ('we_n = "T20"\n', 'we_n = "G2"\n', "pin must be used once, not 'G2' for several signals"),
        ('we_n = "T20"\n', 'we_n = "T20"\nodt = "A1"\n', "key must be one that a board has, not 'sdram.odt'"),
    ],
)
def test_wrong_keys_of_an_sdram(tmp_path, old, new, message):
    good = (Path(taylorvit.fpga.board.__file__).parent / "boards" / "ulx3s-85f.toml").read_text()
    assert old in good
    path = tmp_path / "ulx3s.toml"
    path.write_text(good.replace(old, new, 1))
    with pytest.raises(BoardError) as caught:
        load_board_file(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_board_needs_a_preset(tmp_path):
    path = tmp_path / "bare.toml"
    path.write_text(GOOD.partition("[presets.")[0] + "[presets]\n")
    with pytest.raises(BoardError, match=r"presets must have at least one table, \[presets.NAME\]$"):
        load_board_file(path)
    path.write_text(GOOD.partition("[presets.")[0] + "presets = 3\n")
    with pytest.raises(BoardError):
        load_board_file(path)


def test_file_that_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match=r"nowhere.toml: file must be readable: no such file or directory$"):
        load_board_file(tmp_path / "nowhere.toml")


def test_notes_name_the_source_of_pins():
    for path in (Path(taylorvit.fpga.board.__file__).parent / "boards").glob("*.toml"):
        table = tomllib.loads(path.read_text())
        assert table["source"] and table["notes"]
