"""FPGA families: how each is synthesized for, placed, routed, packed, clocked and drawn.

A family is a folder here, with one `Family` in it, and an entry in `FAMILIES`. Everything else in `fpga` asks the
`Family` of its board and knows no family by name:

    family.py         the `Family`: names and versions of its tools, their command lines
    pll.py            the core clocks that its PLL makes
    constraints.py    its constraint file
    fabric.py         the sites of its devices, for reports and floorplans
    sites.py          where some cells go, if the family does not leave everything to the placer

`CONTRIBUTING.md` lists what belongs to a family outside of this folder: its multiplier and the models of its cells.
"""

from .ecp5 import ECP5
from .fabric import RESOURCES, Fabric
from .family import CoreClock, Family, PortPin, ToolSource
from .gowin import GOWIN
from .ice40 import ICE40

__all__ = ["FAMILIES", "RESOURCES", "CoreClock", "Fabric", "Family", "PortPin", "ToolSource"]

#: Name in a board's file -> family.
FAMILIES = {family.name: family for family in (ECP5, ICE40, GOWIN)}
