"""The emitted Verilog: equivalent to the netlist it was written from, the same every time, readable."""

import os
import re
import subprocess
import sys

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from taylorvit.gen import verilog
from taylorvit.gen.presets import load_preset
from taylorvit.gen.rtlil import parse
from taylorvit.gen.verilog import blocks, emit
from taylorvit.gen.verilog_writer import write_module
from taylorvit.rtl import __version__
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.array.multiplier.inferred import InferredMultiplier
from taylorvit.rtl.array.pe.mac import MultiplyAccumulate
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank, OnePortBank
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.control_status import ControlStatus
from verif.tools.lint import verilator_warnings
from verif.tools.yosys import run_yosys

SMALL = AcceleratorConfig(
    name="small", rows=2, columns=2, data_width=4, max_tokens=5, max_head_dim=3, max_heads=3, stream_width=8
)

# A word that is read while it is written may be anything in a circuit, but not in a proof of equality.
PROOF = """
read_rtlil netlist.il
setattr -unset no_rw_check m:*
proc; opt_expr; opt_clean; memory -nomap; opt_clean; memory_map; opt_clean
rename {name} gold
design -stash gold
read_verilog written.v
setattr -unset no_rw_check m:*
proc; opt_expr; opt_clean; memory -nomap; opt_clean; memory_map; opt_clean
rename {name} gate
design -stash gate
design -copy-from gold -as gold gold
design -copy-from gate -as gate gate
equiv_make gold gate equiv
hierarchy -top equiv
opt_clean
equiv_simple -undef
equiv_induct -undef
equiv_status -assert
"""


def netlists(component):
    """Module name -> (RTLIL with plain names, names of the ports, names of the outputs of all modules)."""
    modules = verilog._elaborate_all(component)
    outputs = {
        block.module_name: {name for name, (_value, flow) in ports.items() if flow.value == "output"}
        for block, _fragment, ports in modules
    }
    result = {}
    for block, fragment, ports in modules:
        text, _names = rtlil.convert_fragment(fragment, ports, block.module_name, emit_src=False)
        # Yosys pairs the registers of both sides by name: all need one that the writer keeps.
        text = re.sub(r"\\[\w$]+", lambda name: "\\" + name.group()[1:].replace("$", "_").strip("_"), text)
        result[block.module_name] = (text, list(ports), outputs)
    return result


class Operators(Block):
    """Operators, widths and signs that the accelerator may not use together."""

    module_name = "operators"

    def __init__(self):
        super().__init__({
            "a": In(5), "b": In(3), "s": In(6), "select": In(3), "flag": In(1), "results": Out(400), "held": Out(7),
            "last": Out(3), "words": Out(12),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        a, b, select, flag = self.a, self.b, self.select, self.flag
        c, d = a.as_signed(), self.s.as_signed()
        results = [
            a + b, a - b, a * b, c + d, c - b, c * d, -a, -c, ~a, ~c, a & self.s, c | a, c ^ d, a << b, c << b, a >> b,
            c >> b, a == b, c == d, c == a, a != 3, c < d, a < b, c <= a, d >= -3, c > 2, d == -1, a.any(), a.all(),
            a.xor(), flag & a[0], flag | ~b[1], flag ^ b[2], ~(flag & (a == 3)), (a + b)[:3], (c - d)[:2],
            (a * b)[2:5], a.bit_select(b, 2), self.s.word_select(b[:1], 3), a // 3, a % 3, a // b, a + (b == 2),
            (a + b) + (c - d), flag + b[0], a[::-1], a.replicate(2) + 1, abs(c), b.bool() + a.bool(), (~a)[:2] + b,
            (c + d) >> 1, (a - b) >> b, ~a.all(), ~b.any() & flag, ((flag & b[0]) | (b[1] & ~flag)) ^ a[1],
        ]  # fmt: skip
        offset = 0
        for result in results:
            m.d.comb += self.results[offset : offset + len(result)].eq(result)
            offset += len(result)

        chosen = Signal(6)
        flags = Signal(3)
        with m.Switch(select):
            with m.Case(1):
                m.d.comb += chosen.eq(a + b)
            with m.Case("-1-"):
                m.d.comb += chosen[2:4].eq(b)
                with m.If(flag & (a > 3)):
                    m.d.comb += chosen.eq(d)
            with m.Case(4, 5):
                m.d.comb += [flags[1].eq(1), chosen.eq(7)]
            with m.Default():
                m.d.comb += flags.eq(b)
        with m.If(flag):
            m.d.comb += flags[0].eq(0)
        with m.Elif(a == 0):
            with m.If(b == 1):
                m.d.comb += flags[0].eq(1)
        with m.Elif(b == 2):
            m.d.comb += flags[2].eq(a[0])
        m.d.comb += self.results[offset : offset + 9].eq(chosen | (flags << 6))
        assert offset + 9 <= len(self.results)

        with m.If(flag):
            with m.Switch(select):
                with m.Case(0):
                    m.d.sync += self.held.eq(self.held + 1)
                with m.Case(1):
                    m.d.sync += self.held[1:3].eq(b)
                with m.Case(2):
                    with m.If(a[0]):
                        m.d.sync += self.held.eq(d)
                    with m.Elif(a[1]):
                        pass
                    with m.Elif(a[2]):
                        m.d.sync += self.held.eq(self.held - a)
                    with m.Else():
                        m.d.sync += self.held[0].eq(b == 3)
                with m.Case(6, 7):
                    m.d.sync += self.held.eq(0)
        with m.Elif(b[0]):
            m.d.sync += self.held.eq((self.held << 1) | a[4])

        with m.If(flag):
            with m.Switch(select):
                with m.Case(0, 3):
                    m.d.sync += self.last.eq(1)
                with m.Case(1):
                    m.d.sync += self.last.eq(a)
                with m.Case(7):
                    m.d.sync += self.last.eq(b)
            with m.If(b == 5):
                m.d.sync += self.last[0].eq(1)

        for index, init in enumerate(([], [3, 5, 7])):
            m.submodules[f"memory_{index}"] = memory = Memory(shape=6, depth=6, init=init)
            write = memory.write_port(granularity=3)
            read = memory.read_port()
            m.d.comb += [write.addr.eq(select), write.data.eq(self.s), write.en.eq(b), read.addr.eq(b),
                         read.en.eq(flag), self.words[6 * index : 6 * index + 6].eq(read.data)]  # fmt: skip
        return m


PROVEN = {**netlists(Operators()), **netlists(Accelerator(SMALL))}


def unproven(folder, name, netlist, verilog_text):
    """How many bits Yosys could not prove equal; it has proven others, and every register and output is one of them."""
    (folder / "netlist.il").write_text(netlist)
    (folder / "written.v").write_text(verilog_text)
    (folder / "proof.ys").write_text(PROOF.format(name=name))
    succeeded, log = run_yosys(folder, "proof.ys")
    result = re.search(r"Of those cells ([1-9]\d*) are proven and (\d+) are unproven", log)
    assert result, log[-2000:]
    assert succeeded == (result.group(2) == "0"), log[-2000:]
    return int(result.group(2))


@pytest.mark.parametrize("name", PROVEN)
def test_verilog_is_proven_equivalent_to_the_netlist(name, tmp_path):
    netlist, ports, outputs = PROVEN[name]
    assert unproven(tmp_path, name, netlist, write_module(parse(netlist), ports, outputs, "proven")) == 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("if (swap) active", "if (!swap) active"),
        ("streamed_now * active", "$unsigned(streamed_now) * active"),
        ("product <= product_now;", "product <= {product_now[6:0], 1'b0};"),
    ],
)
def test_proof_fails_for_verilog_that_differs(right, wrong, tmp_path):
    netlist, ports, outputs = PROVEN["multiplier"]
    text = write_module(parse(netlist), ports, outputs, "disproven")
    assert right in text
    assert unproven(tmp_path, "multiplier", netlist, text.replace(right, wrong)) > 0


@pytest.mark.slow
def test_same_text_in_every_process():
    script = """
import sys
from taylorvit.gen.presets import load_preset
from taylorvit.gen.verilog import emit
from taylorvit.rtl.accelerator import Accelerator

sys.stdout.write(emit(Accelerator(load_preset("tiny-4x4"))))
"""
    texts = {
        subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
                       capture_output=True, text=True, timeout=600).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert texts == {emit(Accelerator(load_preset("tiny-4x4")))}


def test_text_for_people():
    text = emit(Accelerator(SMALL))
    heading = f"// TaylorViT {__version__}. Generated; do not edit.\n//\n// Configuration\n//   name = small\n"
    assert text.startswith(heading)
    assert "$auto" not in text and "\\" not in text and "always @*" not in text
    for block in blocks(Accelerator(SMALL)):
        purpose = type(block).__doc__.strip().splitlines()[0]
        assert text.count(f"// {purpose}\nmodule {block.module_name} (\n    input  wire clk,\n") == 1
    assert max(map(len, text.splitlines())) <= 160


def test_block_without_a_description_says_so():
    class Silent(Echo):
        pass

    assert "\n// Silent has no description.\nmodule echo (" in emit(Silent())


def test_pe_reads_as_it_was_written():
    multiplier = InferredMultiplier(streamed_width=12, stationary_width=8, pipeline=1)
    text = emit(MultiplyAccumulate(multiplier=multiplier, sum_width=25))
    extended = "{{5{multiplier__product[19]}}, multiplier__product}"
    for line in (
        "if (load_in) stationary_out <= stationary_in;",
        "if (swap) active <= stationary;",
        "assign product_now = streamed_now * active;",
        "product <= product_now;",
        f"partial_sum_out <= partial_sum_in + {extended};",
    ):
        assert line in text


@pytest.mark.parametrize("component", [Operators(), Accelerator(SMALL)], ids=lambda component: component.module_name)
def test_no_two_unary_operators_side_by_side(component):
    """Verilator and Yosys read `!&a`, the standard and Icarus Verilog do not."""
    assert not re.search(r"[!~-][&|^!~-]", re.sub(r"//.*", "", emit(component)))


def test_no_operator_makes_verilator_warn(tmp_path):
    (tmp_path / "operators.v").write_text(emit(Operators()))
    assert verilator_warnings(tmp_path, "operators") == []


def test_ports_come_clock_first_then_as_in_the_signature():
    text = emit(ControlStatus(SMALL))
    names = re.findall(r"^    (?:input|output) .*?(\w+)(?: = .*)?,?$", text.partition(");")[0], flags=re.MULTILINE)
    assert names == ["clk", "rst", *(name for name, _member, _value in ControlStatus(SMALL).flat_ports())]


class Echo(Block):
    """A register with two ports."""

    module_name = "echo"

    def __init__(self):
        super().__init__({"i": In(1), "o": Out(1, init=1), "same": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i)
        m.d.comb += self.same.eq(self.o)
        return m


def test_only_registers_have_a_value_at_power_up():
    text = emit(Echo())
    assert "    output reg  o,\n    output wire same\n);\n    initial o = 1'b1;\n" in text
    assert text.count("initial") == 1


def test_memory_with_one_port_has_nothing_at_power_up():
    """No synthesis could give it contents."""
    assert "initial" in emit(MemoryBank(depth=8, width=4, kind="block"))
    text = emit(OnePortBank(depth=8, width=4))
    assert '(* no_rw_check = 1, ram_style = "ultra" *) reg [3:0] memory [0:7];' in text
    assert "initial" not in text


def test_contents_of_memories_are_set_in_blocks():
    """Yosys reads one of many words slowly."""
    loops = r"    initial for \((index\w*) = (\d+); \1 < (\d+); "
    text = emit(MemoryBank(depth=2100, width=4))
    ranges = [(int(first), int(end)) for _name, first, end in re.findall(loops, text)]
    assert ranges == [(0, 1024), (1024, 2048), (2048, 2100)] and text.count("initial") == 3
    words = [index % 16 for index in range(200)]
    text = emit(MemoryBank(depth=1100, width=4, contents=words))
    assert [match[1:] for match in re.findall(loops, text)] == [("1024", "1100")]
    assert text.count("initial begin") == 8
    set_to = {int(place): int(value) for place, value in re.findall(r"memory\[(\d+)\] = 4'd(\d+);", text)}
    assert set_to == dict(enumerate(words + [0] * 824))
    assert max(map(len, text.splitlines())) <= 120


class Twin(Block):
    """A block that holds two of one module name that differ."""

    module_name = "twin"
    reset_less = True

    def __init__(self):
        self.children = [
            MultiplyAccumulate(
                multiplier=InferredMultiplier(streamed_width=4, stationary_width=4, pipeline=0), sum_width=width
            )
            for width in (9, 10)
        ]
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        for index, child in enumerate(self.children):
            instantiate(m, f"child_{index}", child)
        return m


def test_module_name_belongs_to_one_set_of_parameters():
    with pytest.raises(ValueError, match=r"module name must be unique to one set of parameters, not 'pe' for both "):
        emit(Twin())


class Nested(Block):
    """A block with a component below it that is none."""

    module_name = "nested"

    def __init__(self):
        super().__init__({"a": In(4), "o": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = Module()
        inner.d.sync += self.o.eq(self.a)
        return m


class Transparent(Block):
    """A memory whose read port passes on what is being written."""

    module_name = "transparent"

    def __init__(self):
        super().__init__({"a": In(4), "o": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=4, depth=16, init=[])
        write = memory.write_port()
        read = memory.read_port(transparent_for=(write,))
        m.d.comb += [read.addr.eq(self.a), write.addr.eq(self.a), write.data.eq(self.a), write.en.eq(1),
                     self.o.eq(read.data)]  # fmt: skip
        return m


class Keyword(Block):
    """A port named by a word of Verilog."""

    module_name = "keyword"

    def __init__(self):
        super().__init__({"wire": In(4), "o": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(self.wire)
        return m


class KeywordInside(Block):
    """A block inside, named by a word of SystemVerilog."""

    module_name = "outside"

    def __init__(self):
        super().__init__({"i": In(4), "o": Out(4)})

    def elaborate(self, platform):
        m = Module()
        inside = instantiate(m, "before", Division())
        m.d.comb += [inside.a.eq(self.i), self.o.eq(inside.o)]
        return m


class Division(Block):
    """A division of signed numbers."""

    module_name = "division"

    def __init__(self):
        super().__init__({"a": In(4), "o": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(self.a.as_signed() // 3)
        return m


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (Nested, "submodule of nested must be a block, not "),
        (Transparent, "read port of transparent must not be transparent"),
        (Keyword, "port of keyword must have a plain name, not 'wire'"),
        (KeywordInside, "instance in outside must not be called by a keyword, 'before'"),
        (Division, "division of division must be unsigned, not signed"),
    ],
)
def test_what_cannot_be_written_is_told(block, text):
    with pytest.raises(ValueError, match=text):
        emit(block())


REGISTER = r"""
module \register
  wire width 1 input 0 \clk
  wire width 1 input 1 \set
  wire width 1 output 2 \held
  wire width 1 output 3 \also
  wire width 1 $next
  process $1
    assign $next \held
    switch \set
      case 1'1
        assign $next 1'1
    end
  end
  cell $dff $2
    parameter \CLK_POLARITY 1
    connect \CLK \clk
    connect \D $next
    connect \Q \held
  end
  connect \also \held
end
"""


def test_register_of_a_netlist():
    text = write_module(parse(REGISTER), ["clk", "set", "held", "also"], {}, "comment")
    assert "    always @(posedge clk)\n        if (set) held <= 1'b1;\n" in text


@pytest.mark.parametrize(
    ("right", "wrong", "text"),
    [
        ("process $1", "sync always", "RTLIL must consist of lines that Amaranth writes, not 'sync always'"),
        ("cell $dff", "cell $dlatch", "cell of register must be one that can be written, not $dlatch"),
        ("CLK_POLARITY 1", "CLK_POLARITY 0", "clock of register must be the rising edge of clk, not another"),
        ("\\CLK \\clk", "\\CLK \\set", "clock of register must be the rising edge of clk, not another"),
        ("\\also \\held", "\\also $next", "next value $next of a register of register must be used once"),
    ],
)
def test_netlist_that_cannot_be_written_is_told(right, wrong, text):
    assert right in REGISTER
    with pytest.raises(ValueError, match=re.escape(text)):
        write_module(parse(REGISTER.replace(right, wrong)), ["clk", "set", "held", "also"], {}, "comment")
