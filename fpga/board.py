"""Boards: what a build has to know of a board, as data.

A board is one TOML file in `fpga/boards/`, named after the board; nothing else has to be written to add one. Read into
a frozen `Board`, every rule about its keys is in one place, and a wrong, unknown or missing key is a `BoardError` that
names file and key.

    title = "..."                 what people call it
    family = "..."                "ecp5", "ice40" or "gowin", and the device in the words of its tools:
    device, package, speed            ecp5: "LFE5U-85F", "CABGA381", "6"; ice40: "UP5K", "SG48", no speed
    device, chip                      gowin: the whole part number, "GW1NR-LV9QN88PC6/I5", and "GW1N-9C"
    [clock]    pin, hz, io        the oscillator
    [uart]     rx, tx, baud, io   seen from the FPGA: it listens on rx; and the sizes of the link's buffers
    [led]      pins, active_low, io
    [button]   pin, active_low, io    resets everything; may be left out
    [loader]   command            with {bitstream} where its path belongs
    [tools]    synthesis, place_and_route    further options of the family's command in Yosys and of nextpnr; optional
    [presets.NAME]                core_hz; `seed` of place and route, if not 1; `margin_percent`, if not 0; `extends`
                                  and fields of `AcceleratorConfig`; the first is the default
    notes = "..."                 what a user has to know of its link
    source = "..."                where the pins were looked up

`io` is a table of I/O attributes in the words of the family's constraint file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from taylorvit.boundary.reading import read_toml
from taylorvit.gen.presets import load_mapping
from taylorvit.rtl.config import AcceleratorConfig, ConfigError

from .families import FAMILIES

__all__ = ["LARGEST_SEED", "Board", "BoardError", "BoardPreset", "Pins", "board_names", "load_board", "load_board_file"]

#: Of place and route: nextpnr keeps it in an int.
LARGEST_SEED = (1 << 31) - 1

_FOLDER = Path(__file__).resolve().parent / "boards"


class BoardError(ValueError):
    """A board file that cannot be used; the text names file, key and rule."""


@dataclass(frozen=True, kw_only=True)
class Pins:
    """Pins of one signal, its lowest bit first, with their I/O attributes; `active_low`: low means on or pressed."""

    pins: tuple[str, ...]
    io: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    active_low: bool = False


@dataclass(frozen=True, kw_only=True)
class BoardPreset:
    """An accelerator that a board's file offers.

    config: its configuration; core_hz: the core clock that it is built for; seed: of place and route; margin_percent:
    how much faster place and route is asked to make it.
    """

    config: AcceleratorConfig
    core_hz: int
    seed: int
    margin_percent: int = 0


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board.

    Parameters
    ----------
    name: name of its file; title: its product name.
    family: one of `fpga.families.FAMILIES`; device, package, speed, chip: as its tools name them, "" where they do not.
    clock, uart_rx, uart_tx, led, button: pins; `button` is None where the board has none to spare.
    clock_hz: frequency of the oscillator.
    core_hz: frequency wanted of the accelerator and the link; `fpga.families.clocking` says what the PLL makes of it.
    baud: bits a second of the link.
    receive_bytes, send_bytes, result_bytes, payload_max: sizes of the link (`fpga.link.host_link.HostLink`).
    presets: name -> `BoardPreset`, the default first.
    loader: command line that loads a bitstream, `{bitstream}` for its path.
    synthesis, place_and_route: options beyond those of `fpga.families`.
    notes, source: text for people.
    """

    name: str
    title: str
    family: str
    device: str
    package: str
    speed: str
    chip: str
    clock: Pins
    clock_hz: int
    core_hz: int
    uart_rx: Pins
    uart_tx: Pins
    baud: int
    receive_bytes: int
    send_bytes: int
    result_bytes: int
    payload_max: int
    led: Pins
    button: Pins | None
    presets: Mapping[str, BoardPreset]
    loader: tuple[str, ...]
    synthesis: tuple[str, ...]
    place_and_route: tuple[str, ...]
    notes: str
    source: str

    @property
    def default_preset(self):
        """Name of the preset that is built if none is asked for."""
        return next(iter(self.presets))

    def preset(self, name=None):
        """The `BoardPreset` of the name, the default if left out. Raises `BoardError` if there is none."""
        name = self.default_preset if name is None else name
        if name not in self.presets:
            raise BoardError(f"preset of {self.name} must be one of {', '.join(self.presets)}, not {name!r}")
        return self.presets[name]

    def with_core_hz(self, core_hz):
        """The same board with another core clock, in hertz."""
        if isinstance(core_hz, bool) or not isinstance(core_hz, int):
            raise TypeError(f"core_hz must be an integer, not {core_hz!r}")
        if core_hz < 1_000_000:
            raise ValueError(f"core_hz must be at least 1000000, not {core_hz!r}")
        return replace(self, core_hz=core_hz)

    def with_baud(self, baud):
        """The same board with another speed of its link, in bits a second; simulations choose core_hz / 4."""
        if isinstance(baud, bool) or not isinstance(baud, int):
            raise TypeError(f"baud must be an integer, not {baud!r}")
        if baud < 300:
            raise ValueError(f"baud must be at least 300, not {baud!r}")
        return replace(self, baud=baud)


def board_names():
    """Names of the boards that come with the generator, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_board(name):
    """The board of that name; `BoardError` if there is none."""
    if name not in board_names():
        raise BoardError(f"board must be one of {', '.join(board_names())}, not {name!r}")
    return load_board_file(_FOLDER / f"{name}.toml")


def load_board_file(path):
    """The board that a TOML file describes.

    `FileError` if the file cannot be read or is not TOML, `BoardError`, its text beginning with the path too, if it is
    no board.
    """
    path = Path(path)
    table = read_toml(path)
    try:
        return _board(path.stem, _Table(table))
    except (BoardError, ConfigError) as error:
        raise BoardError(f"{path}: {error}") from None


def _board(name, table):
    clock, uart, led = table.table("clock"), table.table("uart"), table.table("led")
    loader = table.table("loader")
    tools = table.table("tools") if "tools" in table else _Table({})
    button = table.table("button") if "button" in table else None
    presets = _presets(table.table("presets"))
    uart_io = uart.io()
    family = table.text("family", choices=FAMILIES)
    part = dict.fromkeys(("device", "package", "speed", "chip"), "")
    part |= {key: table.text(key) for key in FAMILIES[family].part_keys}
    board = Board(
        name=name,
        title=table.text("title"),
        family=family,
        **part,
        clock=Pins(pins=(clock.text("pin"),), io=clock.io()),
        clock_hz=clock.number("hz", 1_000_000, 1_000_000_000),
        core_hz=next(iter(presets.values())).core_hz,
        uart_rx=Pins(pins=(uart.text("rx"),), io=uart_io),
        uart_tx=Pins(pins=(uart.text("tx"),), io=uart_io),
        baud=uart.number("baud", 300, 12_000_000),
        receive_bytes=uart.power_of_two("receive_bytes", 2048),
        send_bytes=uart.power_of_two("send_bytes", 2048),
        result_bytes=uart.power_of_two("result_bytes", 2048),
        payload_max=uart.number("payload_max", 16, 65535, default=1024),
        led=Pins(pins=led.texts("pins"), io=led.io(), active_low=led.flag("active_low")),
        button=button and Pins(pins=(button.text("pin"),), io=button.io(), active_low=button.flag("active_low")),
        presets=presets,
        loader=loader.texts("command"),
        synthesis=tools.texts("synthesis", optional=True),
        place_and_route=tools.texts("place_and_route", optional=True),
        notes=table.text("notes"),
        source=table.text("source"),
    )
    for each in (table, clock, uart, led, loader, tools, *([button] if button else [])):
        each.refuse_the_rest()
    used = [pin for pins in (board.clock, board.uart_rx, board.uart_tx, board.led, board.button) if pins
            for pin in pins.pins]  # fmt: skip
    for pin in used:
        if used.count(pin) > 1:
            raise BoardError(f"pin must be used once, not {pin!r} for several signals")
    if not any("{bitstream}" in word for word in board.loader):
        raise BoardError(f"loader.command must contain {{bitstream}}, not {' '.join(board.loader)!r}")
    return board


def _presets(table):
    presets = {}
    for name in table.keys():
        preset = table.table(name)
        core_hz = preset.number("core_hz", 1_000_000, 1_000_000_000)
        seed = preset.number("seed", 1, LARGEST_SEED, default=1)
        margin = preset.number("margin_percent", 0, 50, default=0)
        fields = load_mapping(preset.rest())
        config = AcceleratorConfig.from_mapping({"name": name, **fields})
        presets[name] = BoardPreset(config=config, core_hz=core_hz, seed=seed, margin_percent=margin)
    if not presets:
        raise BoardError("presets must have at least one table, [presets.NAME]")
    return MappingProxyType(presets)


class _Table:
    """A table of the file: each key is taken once, with its rule; what is left in the end is an error."""

    def __init__(self, content, path=""):
        self._content = dict(content)
        self._path = path

    def __contains__(self, key):
        return key in self._content

    def keys(self):
        return tuple(self._content)

    def rest(self):
        content, self._content = self._content, {}
        return content

    def refuse_the_rest(self):
        for key in self._content:
            raise BoardError(f"key must be one that a board has, not {self._path + key!r}")

    def table(self, key):
        value = self._take(key)
        self._require(isinstance(value, dict), key, "a table", value)
        return _Table(value, f"{self._path}{key}.")

    def text(self, key, choices=None):
        value = self._take(key)
        self._require(isinstance(value, str) and value, key, "text", value)
        if choices:
            self._require(value in choices, key, f"one of {', '.join(choices)}", value)
        return value

    def texts(self, key, optional=False):
        if optional and key not in self:
            return ()
        value = self._take(key)
        good = isinstance(value, list) and value and all(isinstance(each, str) and each for each in value)
        self._require(good, key, "a list of texts", value)
        return tuple(value)

    def number(self, key, low, high, default=None):
        value = self._take(key, default)
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        self._require(good, key, f"an integer in {low}..{high}", value)
        return value

    def power_of_two(self, key, default):
        value = self.number(key, 16, 32768, default)
        self._require(value & (value - 1) == 0, key, "a power of two", value)
        return value

    def flag(self, key):
        value = self._take(key, False)
        self._require(isinstance(value, bool), key, "true or false", value)
        return value

    def io(self):
        value = self._take("io", {})
        good = isinstance(value, dict) and all(isinstance(each, str | int) for each in value.values())
        self._require(good, "io", "a table of texts and integers", value)
        return MappingProxyType(value)

    def _take(self, key, default=None):
        if key not in self._content and default is None:
            raise BoardError(f"board must have the key {self._path + key!r}")
        return self._content.pop(key, default)

    def _require(self, good, key, rule, value):
        if not good:
            raise BoardError(f"{self._path}{key} must be {rule}, not {value!r}")
