"""Build a simulation of generated Verilog.

Verilator translates the Verilog to C++ (a few hundredths of a second), and the C++ compiler makes an executable of it.
Most of the compiler's time in a usual build goes into what does not depend on the design: Verilator's own runtime,
cocotb's main program, and reading their headers. These are compiled once for each set of tools and flags: object files,
and a precompiled header. A design adds one compilation (a large design one a processor) and the link.

    Verilog --verilator--> C++ ---------------------------------+--> sim/<top>-<hash>/simulation
    runtime -------- once, runtime-<hash> ----------------------+
    main, header --- once with and once without waveforms, -----+
                     frame-<hash>

A build's directory, in the cache folder (`taylorvit.simulation.places`), is named by a hash of the Verilog, the options
and the versions of the tools: the same build is made once, whichever test or command asks for it.

Only the ports of the top module are visible to the bench: making every signal visible, as cocotb's own runner
does, keeps Verilator from optimizing any of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import cocotb_tools.config

from taylorvit.boundary import programs

from . import compilers
from .places import cache_folder, once
from .settings import SIMULATORS, selected_simulator, selected_waves

__all__ = ["Build", "build", "hash_of"]

SOURCES = Path(__file__).resolve().parent / "cpp"
TIMESCALE = "1ns/1ps"

COCOTB_MAIN = "verilator"  # stem of cocotb's main program
RUNTIME_FILES = ("verilated", "verilated_dpi", "verilated_vpi", "verilated_threads")
RECORDER_FILES = ("verilated_vcd_c",)
HEADER = "runtime.h"
# Warnings are the business of `verif.tools.lint`; a simulation may also be of a block alone, or of a planted fault.
VERILATOR_OPTIONS = (
    "--cc",
    "--vpi",
    "--no-timing",
    "--prefix",
    "Vdesign",
    "--timescale",
    TIMESCALE,
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
    "--quiet",
)
COMPILER_FLAGS = ("-std=c++20", "-O1")
# Said in the source, not as a flag: a precompiled header is only for the flags that it was compiled with.
UNOPTIMIZED = '#pragma GCC optimize ("O0")'
# Ends the names of files with functions that run once, at the start: a third of the code.
RUN_ONCE = "__Slow"
# All generated files are compiled as one, since reading the design's headers again for each costs more than what is
# compiled in parallel gains; above this many bytes (a 16x16 array has 0.7 MB, 64x64 has 9.7 MB) as one a processor.
SINGLE_FILE_LIMIT = 1_500_000


@dataclass(frozen=True)
class Build:
    """A finished simulation executable.

    Attributes:
        directory (Path): where it is.
        top (str): name of the top module.
        simulator (str): "verilator" or "icarus".
        waves (bool): whether its runs can record a waveform.
        seconds (float): what making it took, 0 where it was there already.
    """

    directory: Path
    top: str
    simulator: str
    waves: bool
    seconds: float


def build(
    verilog: str,
    top: str,
    *,
    simulator: str | None = None,
    waves: bool | None = None,
    no_inline: tuple[str, ...] = (),
    main: Path | None = None,
    optimized: bool = True,
    public: tuple[tuple[str, str], ...] = (),
) -> Build:
    """Makes a simulation of Verilog, or finds the one made before.

    Args:
        verilog (str): the text of all modules.
        top (str): name of the top module.
        simulator (str): "verilator" or "icarus"; what `SIM` says if left out.
        waves (bool): whether runs can record a waveform; what `WAVES` says if left out.
        no_inline (tuple[str, ...]): modules that Verilator is to keep apart instead of merging them into their
            parents, where it does not see by itself that they are too many.
        main (Path): a C++ program that drives the model, Verilator's class `Vdesign`, instead of cocotb; such a build
            is not for `run`.
        optimized (bool): whether the C++ compiler optimizes the model; not for short runs of large netlists of gates.
        public (tuple[tuple[str, str], ...]): signals below the top that the main program reads, as (module, name); the
            name may have wildcards.

    Raises:
        ToolError: a tool is missing or refuses the Verilog.
        ValueError: an unknown simulator, or one that has no such main program; a top that is no module.
    """
    simulator = selected_simulator() if simulator is None else simulator
    waves = selected_waves() if waves is None else waves
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    if f"module {top}" not in verilog:
        raise ValueError(f"top must be a module of the Verilog, not {top!r}")
    make = _make_verilator if simulator == "verilator" else _make_icarus
    options = {
        "top": top,
        "simulator": simulator,
        "waves": waves,
        "no_inline": sorted(no_inline),
        "flags": [*VERILATOR_OPTIONS, *COMPILER_FLAGS, SINGLE_FILE_LIMIT],
        "model": _model_sources(),
    }
    if main is not None:
        if simulator != "verilator":
            raise ValueError(f"simulator must be verilator for a main program in C++, not {simulator!r}")
        options["main"] = main.read_text(encoding="utf-8")
    if public:
        options["public"] = sorted(public)
    preamble = "" if optimized else UNOPTIMIZED
    if preamble:
        options["preamble"] = preamble
    directory = _builds_folder() / f"{top}-{hash_of(verilog, options, compilers.versions(simulator))}"
    rules = [
        *(f'no_inline -module "{name}"' for name in no_inline),
        *(f'public_flat_rd -module "{module}" -var "{name}"' for module, name in public),
    ]
    seconds = once(directory, lambda unfinished: make(unfinished, verilog, top, waves, rules, main, preamble))
    return Build(directory, top, simulator, waves, seconds)


def _make_icarus(
    directory: Path,
    verilog: str,
    top: str,
    waves: bool,
    _rules: list[str],
    _main: Path | None,
    _preamble: str,
) -> None:
    (directory / "design.v").write_text(verilog, encoding="utf-8")
    (directory / "options.f").write_text(f"+timescale+{TIMESCALE}\n", encoding="utf-8")
    command = [compilers.icarus()[0], "-g2012", "-o", "simulation", "-f", "options.f", "-s", top, "design.v"]
    if waves:
        (directory / "dump.v").write_text(
            f'module dump_waves; initial begin $dumpfile("waves.vcd"); $dumpvars(0, {top}); end endmodule\n',
            encoding="utf-8",
        )
        command += ["-s", "dump_waves", "dump.v"]
    compilers.run_tool(command, cwd=directory)


def _make_verilator(
    directory: Path, verilog: str, top: str, waves: bool, rules: list[str], main: Path | None, preamble: str
) -> None:
    runtime, frame = _runtime(), _frame(waves)
    (directory / "design.v").write_text(verilog, encoding="utf-8")
    rules = [f'public_flat_rw -module "{top}" -port "*"', *rules]
    (directory / "design.vlt").write_text("\n".join(["`verilator_config", *rules, ""]), encoding="utf-8")
    compilers.run_tool(
        [
            compilers.verilator(),
            *VERILATOR_OPTIONS,
            *(["--trace-vcd"] if waves else []),
            "--top-module",
            top,
            "--Mdir",
            "cpp",
            "design.vlt",
            "design.v",
        ],
        cwd=directory,
        environment=compilers.verilator_environment(),
    )
    sources = sorted((directory / "cpp").glob("*.cpp"))
    program = SOURCES / "model.cpp" if main is None else main
    sources.append(Path(shutil.copy(program, directory / "cpp" / program.name)))
    objects = _compile(_merge(sources, preamble), directory / "cpp", waves, header=frame / HEADER)
    shared = [*sorted(runtime.glob("*.o")), *sorted(frame.glob("*.o"))]
    if main is None:
        libraries = cocotb_tools.config.libs_dir
        rest = [*shared, f"-L{libraries}", "-lcocotbvpi_verilator"]  # `run` says where it is
    else:
        rest = [path for path in shared if path.stem != COCOTB_MAIN]
    program = directory / "simulation"
    compilers.run_tool([*compilers.compiler(), "-o", str(program), *objects, *map(str, rest), "-pthread"])
    if not program.is_file():
        raise compilers.ToolError(f"C++ compiler must write a program, and did not: {' '.join(compilers.compiler())}")
    shutil.rmtree(directory / "cpp")


def _merge(sources: list[Path], preamble: str) -> list[Path]:
    """Files that include the sources, in shares of about equal size: one, or for a large design one a processor.

    What runs once comes last, and is not optimized.
    """
    sizes = {source: source.stat().st_size for source in sources}
    shares: list[list[Path]] = [[] for _ in range(_processors() if sum(sizes.values()) > SINGLE_FILE_LIMIT else 1)]
    for source in sorted(sources, key=lambda source: (-sizes[source], source.name)):
        min(shares, key=lambda share: sum(sizes[other] for other in share)).append(source)
    merged = [sources[0].with_name(f"share_{number}.cpp") for number in range(len(shares))]
    for path, share in zip(merged, shares):
        often = [source for source in share if not source.stem.endswith(RUN_ONCE)]
        once = [source for source in share if source.stem.endswith(RUN_ONCE)]
        lines = [*_include(often), "#pragma GCC push_options", UNOPTIMIZED, *_include(once), "#pragma GCC pop_options"]
        path.write_text("\n".join([preamble, *lines, ""]), encoding="utf-8")
    return merged


def _include(sources: list[Path]) -> list[str]:
    return [f'#include "{source.name}"' for source in sources]


def _runtime() -> Path:
    """Verilator's own runtime: objects that every Verilator build shares, compiled once."""
    options = {"flags": [*COMPILER_FLAGS, *RUNTIME_FILES]}
    directory = _builds_folder() / f"runtime-{hash_of(options, compilers.versions('verilator'))}"

    def make(unfinished: Path) -> None:
        sources = [compilers.verilator_root() / "include" / f"{name}.cpp" for name in RUNTIME_FILES]
        _compile(sources, unfinished, waves=False)  # these do not ask whether there are waveforms

    once(directory, make)
    return directory


def _frame(waves: bool) -> Path:
    """What all builds with waveforms share, or all without: objects of the main program and the recorder, a header."""
    options = {"waves": waves, "flags": [*COMPILER_FLAGS], "model": _model_sources()}
    directory = _builds_folder() / f"frame-{hash_of(options, compilers.versions('verilator'))}"

    def make(unfinished: Path) -> None:
        sources = [cocotb_tools.config.share_dir / "lib" / "verilator" / f"{COCOTB_MAIN}.cpp"]
        sources += [compilers.verilator_root() / "include" / f"{name}.cpp" for name in RECORDER_FILES if waves]
        _compile(sources, unfinished, waves)
        header = unfinished / HEADER
        header.write_text(
            '#include "verilated.h"\n#include "verilated_dpi.h"\n#include "verilated_vpi.h"\n', encoding="utf-8"
        )
        compilers.run_tool(
            [*compilers.compiler(), *_flags(waves), "-x", "c++-header", str(header), "-o", f"{header}.gch"]
        )

    once(directory, make)
    return directory


def _compile(sources: list[Path], output: Path, waves: bool, header: Path | None = None) -> list[str]:
    """Compile each source to an object in `output`, as many at once as there are processors."""
    common = [*compilers.compiler(), *_flags(waves), *(["-include", str(header)] if header else [])]

    def compile_one(source: Path) -> str:
        target = output / f"{source.stem}.o"
        compilers.run_tool([*common, "-c", str(source), "-o", str(target)])
        return str(target)

    return programs.at_once(compile_one, sources, jobs=_processors())


def _flags(waves: bool) -> list[str]:
    """The compiler's flags; the precompiled header can be used only where they are the same."""
    include = compilers.verilator_root() / "include"
    features = {
        "VERILATOR": 1,
        "VM_COVERAGE": 0,
        "VM_SC": 0,
        "VM_TIMING": 0,
        "VM_TRACE": int(waves),
        "VM_TRACE_VCD": int(waves),
        "VM_TRACE_FST": 0,
        "VM_TRACE_SAIF": 0,
    }
    return [
        *COMPILER_FLAGS,
        *(f"-D{name}={value}" for name, value in features.items()),
        f"-I{SOURCES}",
        f"-I{include}",
        f"-I{include / 'vltstd'}",
    ]


def _processors() -> int:
    return os.cpu_count() or 1


def _model_sources() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir())]


def _builds_folder() -> Path:
    return cache_folder() / "sim"


def hash_of(*parts) -> str:
    """Twenty hexadecimal digits of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]
