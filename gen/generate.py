"""Everything that is generated from one configuration, as files in one folder.

    taylorvit.v        the Verilog
    taylorvit.f        file list for simulators and synthesis
    taylorvit.core     FuseSoC core (CAPI2)
    metadata.json      configuration, ports, latencies, versions of the tools, hash of the Verilog
    registers/         register map: SystemRDL, C, Python, Markdown, HTML

A configuration's `prefix` stands in front of these names, and in the files in front of those of every module, macro and
function: what belongs to several accelerators can lie in one folder and be used in one design and one program.

Same configuration, same tools: same bytes, whatever the machine, its clock or the folder's name. A file is written
only if its content is new, so that what `make` or a simulator built from it stays up to date.
"""

import hashlib
import json
from importlib import metadata
from pathlib import Path

from amaranth.lib import wiring

from taylorvit.boundary.writing import FileError, check_output_folder, written_whole
from taylorvit.rtl import __version__
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.loading import load

from .presets import Configuration
from .registers_export import register_files, title
from .verilog import emit_with_blocks

__all__ = ["generate", "port_table", "top"]

_TOOLS = ("amaranth", "peakrdl-html", "systemrdl-compiler")

# Of each of `CONFIGURATIONS`: its top.
_TOPS = {
    "attention": "taylorvit.rtl.accelerator:Accelerator",
    "network": "taylorvit.rtl.network.accelerator:NetworkAccelerator",
}


def top(config: Configuration) -> Block:
    """The whole accelerator, built from `config`."""
    return load(_TOPS[config.accelerator])(config)


def port_table(component):
    """Ports of a block in the order of its Verilog: (name, "input", "output" or "inout", width, signed)."""
    ports = [("clk", "input", 1, False)] if component.clocked else []
    if component.clocked and not component.reset_less:
        ports.append(("rst", "input", 1, False))
    for name, member, value in component.flat_ports():
        direction = "input" if member.flow == wiring.In else "output"
        shape = value.shape()
        ports.append((name, direction, shape.width, shape.signed))
    ports += [(name, "inout", len(pad), False) for name, pad in component.pads.items()]
    return ports


def generate(config: Configuration, folder: str | Path, *, component: Block | None = None) -> dict[Path, bool]:
    """Writes all files of an accelerator.

    Args:
        config (Configuration): the accelerator.
        folder (str | Path): where they are written; it is made if it is not there.
        component (Block): the top; the whole accelerator if left out.

    Returns:
        dict[Path, bool]: path of each file -> whether its content is new.

    Raises:
        FileError: the folder, or the path of a file, is something else.
        OSError: a file cannot be written.
    """
    component = top(config) if component is None else component
    verilog, blocks = emit_with_blocks(component)
    files = {
        f"{component.module_name}.v": verilog.encode(),
        f"{component.module_name}.f": f"{component.module_name}.v\n".encode(),
        f"{component.module_name}.core": _core(config, component).encode(),
        f"{config.prefix}metadata.json": _metadata(config, component, verilog, blocks).encode(),
    }
    registers = register_files(config)
    files.update((f"registers/{path}", content) for path, content in registers.items())

    folder = Path(folder)
    for path in files:  # all of them, or none
        check_output_folder((folder / path).parent)
        if (folder / path).is_dir():
            raise FileError(f"output must be a file, not the folder {str(folder / path)!r}")
    changed = {folder / path: _write(folder / path, content) for path, content in files.items()}
    # Pages are named by hashes: those of an earlier configuration would stay beside the new ones.
    for page in (folder / "registers" / f"{config.prefix}html" / "content").glob("*.html"):
        if page not in changed:
            page.unlink()
    return changed


def _write(path, content):
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial:
        partial.write_bytes(content)
    return True


def _metadata(config, component, verilog, blocks):
    latencies = {name: block.latency for name, block in blocks.items() if hasattr(block, "latency")}
    content = {
        "generator": {"name": "taylorvit", "version": __version__},
        "tools": {name: metadata.version(name) for name in _TOOLS},
        "accelerator": config.accelerator,
        "configuration": config.to_mapping(),
        "derived": _derived(config),
        "top": component.module_name,
        "ports": [
            {"name": name, "direction": direction, "width": width, "signed": signed}
            for name, direction, width, signed in port_table(component)
        ],
        "latencies": latencies,
        "files": {
            f"{component.module_name}.v": {
                "bytes": len(verilog.encode()),
                "sha256": hashlib.sha256(verilog.encode()).hexdigest(),
            },
        },
    }
    return json.dumps(content, indent=2) + "\n"


def _derived(config):
    """What follows from a configuration, and a reader of it would have to compute."""
    derived = {"processing_elements": config.processing_elements}
    if config.accelerator == "attention":
        derived |= {"stream_lanes": config.stream_lanes, "element_width": config.element_width}
        derived |= _told(config)
        derived["buffer_bytes"] = config.buffer_bytes
        derived["array_cycles_at_maximum"] = config.array_cycles(config.max_tokens, config.max_head_dim)
    else:
        derived["data_width"] = config.data_width
        derived |= _told(config.attention)
        derived["buffer_bytes"] = config.buffer_bytes
        derived["tape_hash"] = f"{config.tape_hash:#018x}"
    return derived


def _told(config):
    return {told.attribute: getattr(config, told.attribute) for told in config.spec.told}


def _core(config, component):
    return f"""CAPI=2:
name: taylorvit:accelerator:{config.prefix}{config.name}:{__version__}
description: {title(config)}, configuration {config.name}

filesets:
  rtl:
    files:
      - {component.module_name}.v
    file_type: verilogSource

targets:
  default:
    filesets: [rtl]
    toplevel: {component.module_name}
"""
