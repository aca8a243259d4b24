"""The register map for people and programs: SystemRDL, C header, Python module, HTML and Markdown.

All come from the map of the accelerator: `rtl.control.registers` for attention, `rtl.network.control.registers` for
whole networks. SystemRDL is written here and is what other tools read: PeakRDL makes the HTML pages from it. The Python
module imports nothing, so that it can be copied to wherever a driver runs.

The C header is C99 without anything of a system but <stdint.h>, for drivers on bare metal (`fpga/c`). It has offsets
rather than a structure of registers: PeakRDL's header lays a packed structure over them, which lets a compiler access
them byte by byte, and needs C11. What a driver repeats for each event, error count or constant is a list of names, as a
macro that applies another macro to each, so that a driver spells none of them out.
"""

import hashlib
import re
import tempfile
import textwrap
from pathlib import Path

from peakrdl_html import HTMLExporter
from systemrdl import RDLCompiler

from taylorvit.rtl.control.description import DATA_WIDTH, Access, RegisterMap
from taylorvit.rtl.control.registers import register_map as attention_map
from taylorvit.rtl.network.control.registers import register_map as network_map

from .presets import Configuration

__all__ = [
    "register_files",
    "register_map",
    "title",
    "to_c_header",
    "to_html",
    "to_markdown",
    "to_python",
    "to_systemrdl",
]

_SYSTEMRDL_ACCESS = {
    Access.CONSTANT: "sw = r; hw = na;",
    Access.READ_ONLY: "sw = r; hw = w;",
    Access.READ_WRITE: "sw = rw; hw = r;",
    Access.PULSE: "sw = w; hw = r; singlepulse;",
    Access.WRITE_ONLY: "sw = w; hw = r;",
    Access.WRITE_ONE_TO_CLEAR: "sw = rw; onwrite = woclr; hw = w; hwset;",
    Access.WRITE_TO_CLEAR: "sw = rw; onwrite = wclr; hw = w;",
}

# Of each of `gen.presets.CONFIGURATIONS`: its map, the module that describes it, what it is called, and what its names
# and offsets depend on.
_MAPS = {"attention": attention_map, "network": network_map}
_DESCRIBED_IN = {"attention": "rtl/control/registers.py", "network": "rtl/network/control/registers.py"}
_TITLES = {
    "attention": "{kernel}-attention accelerator",
    "network": "Vision Transformer accelerator, {kernel} attention",
}
_SAME_WITH = {"attention": "attention kernel", "network": "source of the tape"}

_HEADINGS = {
    0x000: "What was built",
    0x040: "Control, status, events",
    0x080: "Parameters of the next job",
    0x0C0: "Performance counters",
    0x100: "Error counts",
}

_C_CONVENTIONS = """\
REGISTER is a register, FIELD one of its fields. A register with a single field of its own name is used as a whole.

    TAYLORVIT_REGISTER_OFFSET              byte offset
    TAYLORVIT_REGISTER_VALUE               of a constant: what was built
    TAYLORVIT_REGISTER_RESET               of the others: after reset
    TAYLORVIT_REGISTER_MIN, _MAX           of a parameter: legal values
    TAYLORVIT_REGISTER_FIELD_MASK          the field's bits within the register
    TAYLORVIT_REGISTER_FIELD_VALUE         of a field of a constant
    taylorvit_register_field(word)         a field of several bits, taken out of the register's value
    TAYLORVIT_NAME_WORDS                   registers NAME_0, NAME_1, ... of one value, lowest word first
    TAYLORVIT_FOR_EACH_CONSTANT(X)         X(REGISTER) for every constant
    TAYLORVIT_FOR_EACH_EVENT(X)            X(FIELD) for every field of EVENTS, INTERRUPT_ENABLE
    TAYLORVIT_FOR_EACH_ERROR(X)            X(FIELD) for the errors that are counted: by register COUNT_FIELD

Names and offsets are the same in every configuration with the same {same}; values, ranges and resets are not.
The two lowest address bits are ignored: an access to any byte of a register is one to the register."""

# The pages' fonts in formats for browsers without WOFF2 would be 7 MB.
_UNUSED_FONTS = (".eot", ".svg", ".ttf", ".woff")


def register_map(config: Configuration) -> RegisterMap:
    """The register map of an accelerator of either sort."""
    return _MAPS[config.accelerator](config)


def title(config: Configuration) -> str:
    """What an accelerator is called."""
    return _TITLES[config.accelerator].format(kernel=config.kernel.capitalize())


def register_files(config):
    """All exports of the configuration's register map: relative path -> content (bytes)."""
    stem = f"{config.prefix}taylorvit_registers"
    files = {
        f"{stem}.rdl": to_systemrdl(config).encode(),
        f"{stem}.h": to_c_header(config).encode(),
        f"{stem}.py": to_python(config).encode(),
        f"{stem}.md": to_markdown(config).encode(),
    }
    for path, content in to_html(config).items():
        files[f"{config.prefix}html/{path}"] = content
    return files


def to_systemrdl(config):
    """SystemRDL 2.0 text of the register map."""
    lines = [
        f"// Register map of TaylorViT, configuration {config.name}. Generated; do not edit.",
        f"addrmap {config.prefix}taylorvit {{",
        '    name = "TaylorViT";',
        f'    desc = "{title(config)}, configuration {config.name}. The two lowest address bits are ignored.";',
        f"    default regwidth = {DATA_WIDTH};",
        f"    default accesswidth = {DATA_WIDTH};",
    ]
    for register in register_map(config):
        lines += ["    reg {", f'        desc = "{_escape(_sentence(register))}";']
        for field in register.fields:
            reset = (field.reset << field.low & field.mask) >> field.low
            lines += [
                "        field {",
                f'            desc = "{_escape(_sentence(field))}";',
                f"            {_SYSTEMRDL_ACCESS[register.access]}",
                f"        }} {field.name}[{field.high}:{field.low}] = {reset:#x};",
            ]
        lines.append(f"    }} {register.name} @ {register.offset:#05x};")
    return "\n".join([*lines, "};", ""])


def to_c_header(config):
    """C99 header: offsets, fields, ranges and lists of names; `_C_CONVENTIONS` says how its macros are called.

    With a prefix "a_", macros are A_TAYLORVIT_..., functions a_taylorvit_...
    """
    lines = _c_lines(config)
    if not config.prefix:
        return "\n".join(lines)
    text = re.sub(r"\bTAYLORVIT_", f"{config.prefix.upper()}TAYLORVIT_", "\n".join(lines))
    return re.sub(r"\btaylorvit_", f"{config.prefix}taylorvit_", text)


def _c_lines(config):
    registers = register_map(config)
    conventions = _C_CONVENTIONS.replace("{same}", _SAME_WITH[config.accelerator])
    words = {register.name.removesuffix("_0") for register in registers if register.name.endswith("_0")}
    lines = [
        f"/* Register map of TaylorViT, configuration {config.name}. Generated; do not edit.",
        " *",
        *(f" * {line}".rstrip() for line in conventions.splitlines()),
        " */",
        "#ifndef TAYLORVIT_REGISTERS_H",
        "#define TAYLORVIT_REGISTERS_H",
        "",
        "#include <stdint.h>",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
    ]
    for register in registers:
        if register.offset in _HEADINGS:
            lines += ["", f"/* ---- {_HEADINGS[register.offset]} ---- */"]
        lines += ["", *_c_register(register)]
        value = register.name.removesuffix("_0")
        if value in words:
            lines.append(_c_define(f"{value}_WORDS", f"{len(registers.words(value))}u"))
    constants = [register.name for register in registers if register.access is Access.CONSTANT]
    lines += [
        "",
        "/* ---- Lists ---- */",
        "",
        *_c_list("FOR_EACH_CONSTANT", constants),
        "",
        *_c_list("FOR_EACH_EVENT", registers.events),
        "",
        *_c_list("FOR_EACH_ERROR", registers.counted_errors),
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
        "#endif /* TAYLORVIT_REGISTERS_H */",
        "",
    ]
    return lines


def _c_register(register):
    """Lines of one register, with its fields."""
    constant = register.access is Access.CONSTANT
    lines = [
        f"/* {register.name}, {register.access.value}: {register.description} */",
        _c_define(f"{register.name}_OFFSET", f"0x{register.offset:03x}u"),
        _c_define(f"{register.name}_{'VALUE' if constant else 'RESET'}", f"0x{register.reset:08x}u"),
    ]
    for field in register.fields:
        if field.minimum is not None:
            lines.append(_c_define(f"{register.name}_MIN", _c_number(field.minimum, field.signed)))
            lines.append(_c_define(f"{register.name}_MAX", _c_number(field.maximum, field.signed)))
        if field.name == register.name:  # the bits above it read 0, so that the register's value is the field's
            continue
        name = f"{register.name}_{field.name}"
        lines.append(f"/* {field.name}: {field.description} */")
        lines.append(_c_define(f"{name}_MASK", f"0x{field.mask:08x}u"))
        if constant:
            lines.append(_c_define(f"{name}_VALUE", _c_number(field.reset, field.signed)))
        if field.width > 1:
            lines += _c_getter(name, field)
    return lines


def _c_getter(name, field):
    """An inline function that takes a field out of its register's value.

    C leaves open what a conversion of a too large unsigned number to a signed one gives: a signed field is computed.
    """
    shifted = f"(word >> {field.low})" if field.low else "word"
    kind, bits = "uint32_t", f"{shifted} & 0x{(1 << field.width) - 1:x}u"
    if field.signed:
        sign = 1 << (field.width - 1)
        kind, bits = "int32_t", f"(int32_t)(({bits}) ^ 0x{sign:x}u) - 0x{sign:x}"
    return [f"static inline {kind} taylorvit_{name.lower()}(uint32_t word)", f"{{ return {bits}; }}"]


def _c_list(name, members):
    """A macro that applies another one, X, to each of the members, of which there may be none."""
    if not members:
        return [f"#define TAYLORVIT_{name}(X)"]
    rows = textwrap.wrap(" ".join(f"X({member})" for member in members), 100)
    return [f"#define TAYLORVIT_{name}(X) \\", *(f"    {row} \\" for row in rows[:-1]), f"    {rows[-1]}"]


def _c_define(name, value):
    return f"#define TAYLORVIT_{name} {value}"


def _c_number(value, signed):
    return f"({value})" if signed else f"{value}u"


def to_html(config):
    """Browsable pages: relative path -> content."""
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "html"
        HTMLExporter(generate_source_links=False).export(_compile(config, folder), str(pages))
        files = {
            path.relative_to(pages).as_posix(): path.read_bytes()
            for path in sorted(pages.rglob("*"))
            if path.is_file() and path.suffix not in _UNUSED_FONTS
        }
    # The pages ask for their data as `?ts=<time of export>`, lest a browser shows old data: a hash does that as well.
    version = str(int(hashlib.sha256(to_systemrdl(config).encode()).hexdigest()[:8], 16)).encode()
    index = re.sub(rb"(BUILD_TS = |\?ts=)\d+", rb"\g<1>" + version, files["index.html"])
    # Formulas do not occur, so nothing need be loaded from elsewhere to typeset them.
    files["index.html"] = re.sub(rb'\s*<script async src="https://[^"]*"></script>', b"", index)
    return files


def to_python(config):
    """A Python module with the offsets, resets, ranges and fields as dictionaries."""
    registers = list(register_map(config))
    lines = [
        f'"""Register map of TaylorViT, configuration {config.name}. Generated; do not edit."""',
        "",
        "# Register -> byte offset",
        "OFFSETS = {",
        *(f'    "{register.name}": {register.offset:#05x},' for register in registers),
        "}",
        "",
        "# Register -> value after reset",
        "RESETS = {",
        *(f'    "{register.name}": {register.reset:#x},' for register in registers),
        "}",
        "",
        "# Register -> smallest and largest value that it takes (the others take any)",
        "RANGES = {",
        *(
            f'    "{register.name}": ({field.minimum}, {field.maximum}),'
            for register in registers
            for field in register.fields
            if field.minimum is not None
        ),
        "}",
        "",
        "# Register -> field -> (lowest bit, number of bits)",
        "FIELDS = {",
    ]
    for register in registers:
        lines.append(f'    "{register.name}": {{')
        lines += (f'        "{field.name}": ({field.low}, {field.width}),' for field in register.fields)
        lines.append("    },")
    return "\n".join([*lines, "}", ""])


def to_markdown(config):
    """Tables of registers and fields, as kept in `docs/registers.md` and `docs/network-registers.md`."""
    lines = [
        "# Register map",
        "",
        f"Generated from `{_DESCRIBED_IN[config.accelerator]}` for the configuration `{config.name}`; do not edit.",
        f"Names and offsets are the same in every configuration with the same {_SAME_WITH[config.accelerator]}; "
        "ranges and reset values",
        "follow its sizes.",
        "",
        "Registers have 32 bits; an access is one word, bytes without a write strobe keep their value. The two lowest",
        "address bits are ignored: an access to offset 0x041 is one to 0x040. Bits that belong to no field read 0 and",
        "ignore writes. A write that a register cannot take (a value out of its range, START while a job runs, a",
        "register that is only read) and any access to another word answers SLVERR and changes nothing else than the",
        "events and counts below.",
    ]
    for register in register_map(config):
        if register.offset in _HEADINGS:
            lines += ["", f"## {_HEADINGS[register.offset]}", ""]
            lines += ["| offset | register | bits | access | reset | values | |", "|---|---|---|---|---|---|---|"]
        for index, field in enumerate(register.fields):
            bits = str(field.low) if field.width == 1 else f"{field.high}..{field.low}"
            name = register.name if field.name == register.name else f"{register.name}.{field.name}"
            offset = f"`0x{register.offset:03X}`" if index == 0 else ""
            reset = f"{field.reset:#x}" if register.name == "ID" else str(field.reset)
            lines.append(
                f"| {offset} | {name} | {bits} | {register.access.value} | {reset} | {field.values} "
                f"| {field.description} |"
            )
    return "\n".join([*lines, ""])


def _compile(config, folder):
    source = Path(folder) / "taylorvit_registers.rdl"
    source.write_text(to_systemrdl(config), encoding="utf-8")
    compiler = RDLCompiler()
    compiler.compile_file(str(source))
    return compiler.elaborate()


def _sentence(item):
    """The description of a register or field as a sentence, with the range of its values."""
    values = f" Values {item.values}." if getattr(item, "values", "") else ""
    return f"{item.description[0].upper()}{item.description[1:]}.{values}"


def _escape(text):
    return text.replace("\\", "\\\\").replace('"', '\\"')
