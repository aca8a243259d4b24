"""A Verilog module while it is being written: names, declarations and blocks so far.

What has a name in the source keeps it, as far as Verilog allows. The rest is named when first needed, after what gives
its value, and numbered: `sum_1`. So a wire that is never mentioned has no name, and is not declared.
"""

from taylorvit.gen.rtlil import Cell, is_anonymous

from .cells import NOUNS, OPERATORS
from .text import LINE_LENGTH, declaration, identifier, indent, literal
from .waivers import OF_OPERATORS, RESERVED, UNUSED, Waivers

__all__ = ["Draft"]

_KEYWORDS = frozenset(
    """
    always and assign begin buf case casex casez cell config deassign default defparam design disable edge else end
    endcase endfunction endmodule endtask event for force forever fork function generate genvar if include initial
    inout input instance integer join large library localparam medium module nand negedge nor not or output parameter
    posedge primitive pulldown pullup real realtime reg release repeat scalared signed small specify strong0 strong1
    supply0 supply1 table task time tran tri unsigned use vectored wait wand weak0 weak1 while wire wor xnor xor
    accept_on alias always_comb always_ff always_latch assert assume before bind bins binsof bit break byte chandle
    checker class clocking const constraint context continue cover covergroup coverpoint cross dist do endchecker
    endclass endclocking endgroup endinterface endpackage endprogram endproperty endsequence enum eventually expect
    export extends extern final first_match foreach forkjoin global iff ignore_bins illegal_bins implements implies
    import inside int interconnect interface intersect join_any join_none let local logic longint matches modport
    nettype new nexttime null package packed priority program property protected pure rand randc randcase randsequence
    ref reject_on restrict return s_always s_eventually s_nexttime s_until s_until_with sequence shortint shortreal
    soft solve static string strong struct super sync_accept_on sync_reject_on tagged this throughout timeprecision
    timeunit type typedef union unique unique0 until until_with untyped uwire var virtual void wait_order weak wildcard
    with within
""".split()
)


class Draft:
    """The module of a netlist in Verilog, so far.

    Args:
        netlist (Netlist): the netlist.
        waivers (dict): `rtl.common.block.Block.waivers` of its block.

    Attributes:
        netlist (Netlist): the netlist.
        waivers (Waivers): the waivers of its block.
        declarations (list[tuple]): declarations of what is no wire of the netlist: line, and its waiver or None.
        blocks (list[list[str]]): what the module does, each statement as lines.

    Raises:
        ValueError: the name of a port is a keyword or no plain name, or that of an instance is a keyword.
    """

    def __init__(self, netlist, waivers):
        self.netlist = netlist
        self.waivers = Waivers(waivers)
        self.declarations = []
        self.blocks = []
        self._names = {}  # wire or memory -> its name
        self._reserved = set()
        self._mentioned = set()  # wires whose names occur in the text
        self._read = {}  # wire -> which of its bits are read, as a mask
        self._keep_names()

    def name(self, name):
        """The name in Verilog of the wire or memory `name`. A wire is thereby declared."""
        self._mentioned.add(name)
        if name not in self._names:
            driver = self.netlist.driver.get(name)
            noun = NOUNS.get(driver.kind, "output") if isinstance(driver, Cell) else "choice"
            self._names[name] = self.new_name(noun)
        return self._names[name]

    def read(self, name, low, width):
        """Takes note that bits of a wire are read.

        Args:
            name (str): the wire.
            low (int): the lowest bit that is read.
            width (int): number of bits.
        """
        self._read[name] = self._read.get(name, 0) | ((1 << width) - 1) << low

    def new_name(self, noun):
        """A name that nothing else has: `noun` (a str) and a number."""
        number = 1
        while f"{noun}_{number}" in self._reserved:
            number += 1
        self._reserved.add(f"{noun}_{number}")
        return f"{noun}_{number}"

    def new_wire(self, noun, width, waiver=None):
        """Declares a wire that the netlist does not have.

        Args:
            noun (str): what its name begins with.
            width (int): number of bits.
            waiver (tuple | None): what a linter is told of it: rule and reason.

        Returns:
            str: its name.
        """
        name = self.new_name(noun)
        self.declarations.append((f"{declaration('wire', width, name)};", waiver))
        return name

    def assign(self, target, lines):
        """Writes a continuous assignment, on one line if it is short or comes as one.

        Args:
            target (str): what is assigned.
            lines (list[str]): the expression.
        """
        text = " ".join(line.lstrip() for line in lines)
        if len(lines) > 1 and len(text) + len(target) > LINE_LENGTH - 20:
            self.blocks.append([f"assign {target} =", *indent(lines[:-1]), f"    {lines[-1]};"])
        else:
            self.blocks.append([f"assign {target} = {text};"])

    def ports(self, names):
        """Declarations of the ports.

        Args:
            names (list[str]): their names, in their order.

        Returns:
            list[tuple]: line, and its waiver or None.
        """
        result = []
        for name in names:
            wire = self.netlist.wires[f"\\{name}"]
            kind = f"{wire.direction:6} {self._kind(wire):4}"
            waiver = self.waivers.find(RESERVED, name) or self._waiver_of_unused(wire)
            result.append((f"{declaration(kind, wire.width, name, wire.signed)},", waiver))
        return result

    def all_declarations(self):
        """Declarations of the wires that are mentioned, ports aside, and of what else there is.

        Returns:
            list[tuple]: line, and its waiver or None.
        """
        wires = [
            (
                f"{declaration(self._kind(wire), wire.width, self._names[wire.name], wire.signed)};",
                self._waiver_of_unused(wire),
            )
            for wire in self.netlist.wires.values()
            if not wire.direction and wire.name in self._mentioned
        ]
        return wires + self.declarations

    def power_up(self):
        """What gives registers their values at power-up: statements for an initial block, a list of str."""
        used = [wire for wire in self.netlist.wires.values() if wire.name in self.netlist.uses]
        registers = [wire for wire in used if self._kind(wire) == "reg" and wire.init]
        zero = [wire for wire in registers if "1" not in wire.init]
        lines = []
        if zero:
            names = ", ".join(self._names[wire.name] for wire in zero)
            zeros = literal("0" * sum(wire.width for wire in zero))
            lines.append(f"{names} = {zeros};" if len(zero) == 1 else f"{{{names}}} = {zeros};")
        return lines + [f"{self._names[wire.name]} = {literal(wire.init)};" for wire in registers if "1" in wire.init]

    def _kind(self, wire):
        """`reg` if the wire is assigned in a clocked block, else `wire`."""
        return "reg" if wire.name in self.netlist.registers else "wire"

    def _waiver_of_unused(self, wire):
        """The waiver for a wire of which not all bits are read, or None if it needs or has none."""
        read = self._read.get(wire.name, 0)
        if wire.direction == "output" or read == (1 << wire.width) - 1:
            return None
        driver = self.netlist.driver.get(wire.name)
        if is_anonymous(wire.name) and isinstance(driver, Cell) and driver.kind in OPERATORS:
            return OF_OPERATORS.get(driver.kind)
        return self.waivers.find(UNUSED, self._names[wire.name])

    def _keep_names(self):
        """Gives instances, ports, signals and memories the names that they have in the source."""
        module = self.netlist.module
        for item in module.items:
            if isinstance(item, Cell) and item.instance_of:
                if identifier(item.name) in _KEYWORDS:
                    raise ValueError(f"instance in {module.name} must not be called by a keyword, {item.name[1:]!r}")
                self._reserved.add(identifier(item.name))
        for wire in module.wires.values():
            if wire.direction:
                clean = identifier(wire.name)
                if clean != wire.name[1:] or clean in _KEYWORDS:
                    raise ValueError(f"port of {module.name} must have a plain name, not {wire.name[1:]!r}")
                self._keep(wire.name, clean)
        for name in (*module.wires, *module.memories):
            if not is_anonymous(name) and name not in self._names:
                clean = identifier(name)
                is_taken = clean in self._reserved or clean in _KEYWORDS
                self._keep(name, self.new_name(clean) if is_taken else clean)

    def _keep(self, name, clean):
        self._names[name] = clean
        self._reserved.add(clean)
