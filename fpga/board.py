"""Boards: what a build has to know of a board, as data.

A board is one TOML file in `fpga/boards/`, which is named after it, and nothing else. It is read into a frozen `Board`.
A key that is wrong, unknown or missing is a `BoardError` that names file and key.

    title = "..."                 product name
    family = "..."                one of `fpga.families.FAMILIES`
    device = "..."                and the family's other `part_keys`: the device, as the family's tools name it
    [clock]    pin, hz, io        the oscillator
    [uart]     rx, tx, baud, io   seen from the FPGA, which receives on rx; and the sizes of the link's buffers
    [led]      pins, active_low, io
    [button]   pin, active_low, io    resets everything; optional
    [sdram]    chip, io, clk ...  an SDR SDRAM, one of `fpga.memory.chips.CHIPS`, and the pins of each of its signals
                                  (`fpga.memory.pads.PINS`); optional
    [loader]   command            with {bitstream} in place of the file's path
    [tools]    synthesis, place_and_route    further options of the family's command in Yosys and of nextpnr; optional
    [presets.NAME]                core_hz; `seed` of place and route, if not 1; `margin_percent`, if not 0; `extends`
                                  and fields of `AcceleratorConfig`; the first preset is the default
    [networks.NAME]               the same keys, and fields of `NetworkConfig`: what runs networks like that; optional
    notes = "..."                 what a user has to know of its link
    source = "..."                where the pins were looked up

`io` is a table of I/O attributes, in the words of the family's constraint file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

from taylorvit.boundary.reading import read_toml
from taylorvit.gen.presets import configuration, of_kind
from taylorvit.rtl.config import NAME_CHARACTERS, NAME_RULE, AcceleratorConfig, ConfigError
from taylorvit.rtl.network.config import NetworkConfig

from .checked_table import CheckedTable, TableError
from .families import FAMILIES, Family
from .memory.chips import CHIPS, SdramChip
from .memory.pads import pin_widths
from .protocol import LEAST_BAUD, MOST_BAUD

__all__ = [
    "LARGEST_SEED",
    "Board",
    "BoardError",
    "BoardPreset",
    "BoardSdram",
    "Pins",
    "board_names",
    "load_board",
    "load_board_file",
]

#: Of place and route: nextpnr keeps it in an int.
LARGEST_SEED = (1 << 31) - 1

#: Class of the configuration of an accelerator.
Kind = TypeVar("Kind", AcceleratorConfig, NetworkConfig)

_FOLDER = Path(__file__).resolve().parent / "boards"


class BoardError(ValueError):
    """A board file that cannot be used; the text names file, key and rule."""


@dataclass(frozen=True, kw_only=True)
class Pins:
    """Pins of one signal.

    Attributes:
        pins (tuple[str, ...]): names of the pins, that of the lowest bit first.
        io (Mapping[str, object]): their I/O attributes.
        active_low (bool): whether low means on, or pressed.
    """

    pins: tuple[str, ...]
    io: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    active_low: bool = False


@dataclass(frozen=True, kw_only=True)
class BoardSdram:
    """An SDR SDRAM beside the FPGA.

    Attributes:
        chip (SdramChip): the chip.
        pins (Mapping[str, Pins]): the pins of each signal, one of `fpga.memory.pads.PINS`.
    """

    chip: SdramChip
    pins: Mapping[str, Pins]


@dataclass(frozen=True, kw_only=True)
class BoardPreset(Generic[Kind]):
    """An accelerator that a board's file offers.

    Attributes:
        config (AcceleratorConfig | NetworkConfig): its configuration.
        core_hz (int): the core clock that it is built for, in hertz.
        seed (int): of place and route.
        margin_percent (int): how much faster than `core_hz` place and route is asked to make it, in per cent; negative
            for slower.
    """

    config: Kind
    core_hz: int
    seed: int
    margin_percent: int = 0


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board.

    Attributes:
        name (str): name of its file.
        title (str): its product name.
        family (Family): the family of its FPGA.
        part (Mapping[str, str]): the device, a text for each of the family's `part_keys`.
        clock (Pins): the oscillator.
        clock_hz (int): frequency of the oscillator, in hertz.
        core_hz (int): frequency wanted of the accelerator and the link, in hertz; `fpga.clock_generator.core_clock`
            finds what the PLL can make of it.
        uart_rx (Pins): where the FPGA receives.
        uart_tx (Pins): where it sends.
        baud (int): bits a second of the link.
        receive_bytes (int): size of the link's buffer for bytes from the host (`fpga.link.host_link.HostLink`).
        send_bytes (int): size of its buffer for tensors.
        result_bytes (int): size of its buffer for results.
        payload_max (int): tensor or result bytes of a frame, at most.
        led (Pins): its LEDs.
        button (Pins | None): its button; None where there is none to spare.
        sdram (BoardSdram | None): its SDRAM; None where there is none that can be used.
        presets (Mapping[str, BoardPreset]): name -> attention accelerator, the default first.
        networks (Mapping[str, BoardPreset]): name of a network -> the accelerator that runs it; may be empty.
        loader (tuple[str, ...]): command line that loads a bitstream, with `{bitstream}` in place of its path.
        synthesis (tuple[str, ...]): options of the family's command in Yosys, beyond the family's own.
        place_and_route (tuple[str, ...]): options of nextpnr, beyond the family's own.
        notes (str): what a user has to know of its link.
        source (str): where the pins were looked up.
    """

    name: str
    title: str
    family: Family
    part: Mapping[str, str]
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
    sdram: BoardSdram | None
    presets: Mapping[str, BoardPreset[AcceleratorConfig]]
    networks: Mapping[str, BoardPreset[NetworkConfig]]
    loader: tuple[str, ...]
    synthesis: tuple[str, ...]
    place_and_route: tuple[str, ...]
    notes: str
    source: str

    @property
    def device(self):
        """The device, as the family's tools name it."""
        return self.part["device"]

    @property
    def device_and_speed(self):
        """The device with its speed grade, where the family names that apart from the device."""
        return f"{self.device} {self.part.get('speed', '')}".rstrip()

    @property
    def default_preset(self):
        """Name of the preset that is built if none is asked for."""
        return next(iter(self.presets))

    def preset(self, name=None):
        """A preset.

        Args:
            name (str | None): its name; None for the default.

        Returns:
            BoardPreset: the preset.

        Raises:
            BoardError: there is none of that name.
        """
        name = self.default_preset if name is None else name
        if name not in self.presets:
            raise BoardError(f"preset of {self.name} must be one of {', '.join(self.presets)}, not {name!r}")
        return self.presets[name]

    def network(self, name=None):
        """The accelerator for a network.

        Args:
            name (str | None): name of the network; None for the first.

        Returns:
            BoardPreset: the accelerator.

        Raises:
            BoardError: there is none of that name.
        """
        if not self.networks:
            which = "a network" if name is None else f"network {name!r}"
            others = ", ".join(name for name in board_names() if load_board(name).networks)
            raise BoardError(f"cannot take {which}: {self.name} has no networks; choose another board: {others}")
        name = next(iter(self.networks)) if name is None else name
        if name not in self.networks:
            raise BoardError(f"network of {self.name} must be one of {', '.join(self.networks)}, not {name!r}")
        return self.networks[name]

    def with_core_hz(self, core_hz):
        """The same board with another core clock.

        Args:
            core_hz (int): the frequency wanted, in hertz, at least 1,000,000.

        Returns:
            Board: the board.

        Raises:
            TypeError: it is no integer.
            ValueError: it is too low.
        """
        if isinstance(core_hz, bool) or not isinstance(core_hz, int):
            raise TypeError(f"core_hz must be an integer, not {core_hz!r}")
        if core_hz < 1_000_000:
            raise ValueError(f"core_hz must be at least 1000000, not {core_hz!r}")
        return replace(self, core_hz=core_hz)

    def with_baud(self, baud):
        """The same board with another speed of its link.

        Args:
            baud (int): bits a second, at least 300; simulations choose `core_hz` / 4.

        Returns:
            Board: the board.

        Raises:
            TypeError: it is no integer.
            ValueError: it is too low.
        """
        if isinstance(baud, bool) or not isinstance(baud, int):
            raise TypeError(f"baud must be an integer, not {baud!r}")
        if baud < LEAST_BAUD:
            raise ValueError(f"baud must be at least {LEAST_BAUD}, not {baud!r}")
        return replace(self, baud=baud)


def board_names():
    """The boards that come with the generator.

    Returns:
        list[str]: their names, sorted.
    """
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_board(name):
    """A board that comes with the generator.

    Args:
        name (str): one of `board_names`.

    Returns:
        Board: the board.

    Raises:
        BoardError: there is none of that name.
    """
    if name not in board_names():
        raise BoardError(f"board must be one of {', '.join(board_names())}, not {name!r}")
    return load_board_file(_FOLDER / f"{name}.toml")


def load_board_file(path):
    """The board that a TOML file describes.

    Args:
        path (str | Path): the file.

    Returns:
        Board: the board.

    Raises:
        FileError: the file cannot be read or is no TOML.
        BoardError: it describes no board; the text begins with the path.
    """
    path = Path(path)
    table = read_toml(path)
    if not _is_name(path.stem):  # of folders and configurations, too
        raise BoardError(f"{path}: a board's file must have a name of {NAME_RULE}, not {path.stem!r}")
    try:
        return _board(path.stem, CheckedTable(table, "board"))
    except (BoardError, TableError, ConfigError) as error:
        raise BoardError(f"{path}: {error}") from None


def _board(name, table):
    clock, uart, led = table.table("clock"), table.table("uart"), table.table("led")
    loader = table.table("loader")
    tools = table.table("tools") if "tools" in table else CheckedTable({}, "board")
    button = table.table("button") if "button" in table else None
    sdram = table.table("sdram") if "sdram" in table else None
    presets = _presets(table.table("presets"), "presets", AcceleratorConfig)
    if not presets:
        raise BoardError("presets must have at least one table, [presets.NAME]")
    networks = table.table("networks") if "networks" in table else CheckedTable({}, "board")
    uart_io = uart.attributes("io")
    family = FAMILIES[table.text("family", choices=FAMILIES)]
    board = Board(
        name=name,
        title=table.text("title"),
        family=family,
        part=MappingProxyType({key: table.text(key) for key in family.part_keys}),
        clock=Pins(pins=(clock.text("pin"),), io=clock.attributes("io")),
        clock_hz=clock.number("hz", 1_000_000, 1_000_000_000),
        core_hz=next(iter(presets.values())).core_hz,
        uart_rx=Pins(pins=(uart.text("rx"),), io=uart_io),
        uart_tx=Pins(pins=(uart.text("tx"),), io=uart_io),
        baud=uart.number("baud", LEAST_BAUD, MOST_BAUD),
        **{name: uart.power_of_two(name, 16, 32768, 2048) for name in ("receive_bytes", "send_bytes", "result_bytes")},
        payload_max=uart.number("payload_max", 16, 65535, default=1024),
        led=Pins(pins=led.texts("pins"), io=led.attributes("io"), active_low=led.flag("active_low")),
        button=button and _button(button),
        sdram=sdram and _sdram(sdram),
        presets=MappingProxyType(presets),
        networks=MappingProxyType(_presets(networks, "networks", NetworkConfig, f"{name}-")),
        loader=loader.texts("command"),
        synthesis=tools.texts("synthesis", optional=True),
        place_and_route=tools.texts("place_and_route", optional=True),
        notes=table.text("notes"),
        source=table.text("source"),
    )
    for each in filter(None, (table, clock, uart, led, loader, tools, button, sdram)):
        each.refuse_the_rest()
    _check(board)
    return board


def _button(table):
    return Pins(pins=(table.text("pin"),), io=table.attributes("io"), active_low=table.flag("active_low"))


def _sdram(table):
    chip = CHIPS[table.text("chip", choices=CHIPS)]
    io = table.attributes("io")
    pins = {}
    for name, width in pin_widths(chip).items():
        pins[name] = Pins(pins=(table.text(name),) if width == 1 else table.texts(name), io=io)
        if len(pins[name].pins) != width:
            raise BoardError(f"sdram.{name} must have {width} pins for {chip.name}, not {len(pins[name].pins)}")
    return BoardSdram(chip=chip, pins=MappingProxyType(pins))


def _check(board):
    """Raises `BoardError` for what is wrong between the keys of a board, or inside one."""
    memory = board.sdram.pins.values() if board.sdram else ()
    used = [
        pin
        for pins in (board.clock, board.uart_rx, board.uart_tx, board.led, board.button, *memory)
        if pins
        for pin in pins.pins
    ]
    for pin in used:
        if used.count(pin) > 1:
            raise BoardError(f"pin must be used once, not {pin!r} for several signals")
    if not any("{bitstream}" in word for word in board.loader):
        raise BoardError(f"loader.command must contain {{bitstream}}, not {' '.join(board.loader)!r}")


def _is_name(text):
    return bool(text) and set(text) <= NAME_CHARACTERS


def _presets(table, place, kind, prefix=""):
    """The accelerators in a table, each with its key; their names begin with the prefix."""
    presets = {}
    for label in table.keys():
        if not _is_name(label):
            raise BoardError(f"{place} must have names of {NAME_RULE}, not {label!r}")
        presets[label] = _preset(table.table(label), f"{place}.{label}", f"{prefix}{label}", kind)
    return presets


def _preset(table, place, name, kind):
    core_hz = table.number("core_hz", 1_000_000, 1_000_000_000)
    seed = table.number("seed", 1, LARGEST_SEED, default=1)
    margin = table.number("margin_percent", -50, 50, default=0)
    fields = {"name": name, **table.rest()}
    if "extends" not in fields:
        fields.setdefault("accelerator", kind.accelerator)
    try:
        config = of_kind(configuration(fields), kind, place)
    except ConfigError as error:
        text = str(error)
        raise BoardError(text if text.startswith(place) else f"{place}: {text}") from None
    return BoardPreset(config=config, core_hz=core_hz, seed=seed, margin_percent=margin)
