"""`Family`: everything that the build of a bitstream does differently for one FPGA family."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .fabric import Fabric

if TYPE_CHECKING:
    from taylorvit.fpga.board import Board
    from taylorvit.fpga.memory.pads import SdramPads
    from taylorvit.rtl.config import AcceleratorConfig

__all__ = ["CoreClock", "Family", "PortPin", "ToolSource"]


@dataclass(frozen=True)
class ToolSource:
    """Where a tool comes from: an executable on PATH or a wheel from PyPI.

    Attributes:
        native (str): name of the executable.
        least (tuple[int, ...] | None): the oldest version of the executable that will do, None for any.
        distribution (str): name of the wheel on PyPI.
        script (str): name of the tool's script in the wheel.
    """

    native: str
    least: tuple[int, ...] | None
    distribution: str
    script: str


@dataclass(frozen=True)
class CoreClock:
    """One way to make the core clock from the board's oscillator.

    Attributes:
        hz (Fraction): the exact frequency, in hertz.
        cell (str | None): the PLL; None is a wire, where the core clock is the oscillator's.
        parameters (tuple[tuple[str, object], ...]): parameters of the PLL, name and value.
        connections (Callable | None): function of the signals (clock_in, clock_out) that returns the further arguments
            of the PLL's `Instance`, all but LOCK's.
        shifted (Callable | None): function of a part of a cycle and a signal; returns the arguments of the PLL's
            `Instance`, besides those, for the signal to be the same clock so much later. None: the PLL has no such.
    """

    hz: Fraction
    cell: str | None = None
    parameters: tuple[tuple[str, object], ...] = ()
    connections: Callable[..., dict[str, Any]] | None = None
    shifted: Callable[[Fraction, Any], dict[str, Any]] | None = None

    @property
    def rounded_hz(self) -> int:
        """The frequency, rounded to whole hertz."""
        return round(self.hz)


@dataclass(frozen=True)
class PortPin:
    """A port of the board's top level, one bit of it, and its pin.

    Attributes:
        port (str): name of the bit, "led[1]" for example.
        pin (str): name of the pin.
        io (Mapping[str, object]): I/O attributes, in the words of the family's constraint file.
    """

    port: str
    pin: str
    io: Mapping[str, object]


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """One FPGA family.

    Attributes:
        name (str): what boards' files call it.
        part_keys (tuple[str, ...]): keys of a board's file that together name the device, "device" first; their values
            are `Board.part`.
        router (ToolSource): place and route, a nextpnr.
        packer (ToolSource): makes the bitstream of what was routed.
        synthesis (Callable): function of the top module's name, `Board.part` and further options; returns the commands
            of Yosys that synthesize.
        place_and_route (Callable): function of `Board.part` and the name of the constraint file; returns the options of
            nextpnr that name both, and those that every design of the family is routed with.
        pack (Callable): function of `Board.part`, the name of the file `routed` and that of the bitstream; returns the
            packer's arguments.
        routed (str): name of the file that packing starts from.
        routed_option (str | None): option of nextpnr that writes `routed`; None if that is the design that `--write`
            leaves.
        bitstream_suffix (str): suffix of the bitstream.
        constraints_suffix (str): suffix of the constraint file.
        constraints (Callable): function of the oscillator's frequency in MHz, as text, and of the `PortPin`s; returns
            the text of the constraint file.
        core_clocks (Callable): function of a board; yields the `CoreClock`s near `Board.core_hz` that the PLL can make
            of `Board.clock_hz`. Raises `ValueError` for a device whose PLL is unknown.
        block_ram (tuple[str, ...]): types of the cells that a buffer may become.
        fabric (Fabric): the sites of the devices.
        sites (Callable | None): function of the accelerator's configuration, the device, the names of the block RAM
            cells below the accelerator, and those of instantiated multipliers besides the array's; returns cell -> site
            for the cells whose site is chosen before placement. None if the placer chooses all of them.
        sdram_pads (type[SdramPads] | None): pins of an SDR SDRAM; None if nobody has written them for the family.
        note (str): what a reader of the report has to know of its figures, or "".
    """

    name: str
    part_keys: tuple[str, ...]
    router: ToolSource
    packer: ToolSource
    synthesis: Callable[[str, Mapping[str, str], Sequence[str]], list[str]]
    place_and_route: Callable[[Mapping[str, str], str], list[str]]
    pack: Callable[[Mapping[str, str], str, str], list[str]]
    routed: str
    routed_option: str | None
    bitstream_suffix: str
    constraints_suffix: str
    constraints: Callable[[str, Iterable[PortPin]], str]
    core_clocks: Callable[[Board], Iterator[CoreClock]]
    block_ram: tuple[str, ...]
    fabric: Fabric
    sites: Callable[[AcceleratorConfig, str, Iterable[str], Iterable[str]], dict[str, str]] | None = None
    sdram_pads: type[SdramPads] | None = None
    note: str = ""
