"""Builds, with the real tools, of a board whose accelerator is a counter and a buffer: stages, reuse, failures."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.boundary.manifest import described
from taylorvit.fpga.board import load_board
from taylorvit.fpga.families import FAMILIES
from taylorvit.fpga.flow import build as build_module
from taylorvit.fpga.flow.build import STAGES, BuildError, prepare
from taylorvit.fpga.flow.toolchain import FpgaToolError, Tool, find_toolchain
from taylorvit.gen.verilog import instances
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank, memory_bank


class Counter(Block):
    """A sum of what a buffer holds, wide enough to have a speed."""

    module_name = "counter"

    def __init__(self):
        self.bank = MemoryBank(depth=512, width=8)
        super().__init__({"write": In(1), "sum": Out(24)})

    def elaborate(self, platform):
        m = Module()
        bank = instantiate(m, "operand_row_0", self.bank)
        address = Signal(9)
        m.d.sync += [address.eq(address + 1), self.sum.eq(self.sum + bank.read_data)]
        m.d.comb += [
            bank.read_address.eq(address),
            bank.write_address.eq(address),
            bank.write_data.eq(self.sum[:8]),
            bank.write_enable.eq(self.write),
        ]
        return m


class SmallTop(Block):
    """The ports of a board's top level around a counter."""

    module_name = "board_top"
    clocked = False

    def __init__(self, board, config, tape=None):
        self.config = config
        self.clock_hz = board.core_hz
        self.host_link = SimpleNamespace(build_id=0x1234)
        self.counter = Counter()
        ports = {"clock": In(1), "button": In(1), "uart_rx": In(1), "uart_tx": Out(1), "led": Out(2)}
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = domain = ClockDomain("sync")
        counter = instantiate(m, "accelerator", self.counter)
        m.d.comb += [
            domain.clk.eq(self.clock),
            domain.rst.eq(self.button),
            counter.write.eq(self.uart_rx),
            self.uart_tx.eq(counter.sum[-1]),
            self.led.eq(counter.sum[-3:-1]),
        ]
        return m


@pytest.fixture(autouse=True)
def small_top(monkeypatch):
    monkeypatch.setattr(build_module, "board_top", SmallTop)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(build, `Finished`, events) of one build, which the tests read and do not change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "board_top", SmallTop)
        build = small_build(tmp_path_factory.mktemp("build"))
    events = []
    return build, build.run(lambda *event: events.append(event)), events


def small_build(root, *, core_hz=12_000_000, seed=1, toolchain=None, **changes):
    board = replace(load_board("icebreaker").with_core_hz(core_hz), **changes)
    return prepare(board, board.preset().config, seed=seed, margin_percent=25, root=root, toolchain=toolchain)


def test_stages_leave_a_bitstream_a_report_and_a_picture(finished):
    build, result, events = finished
    assert events == [(stage, event) for stage in STAGES for event in ("start", "done")]
    assert not result.reused
    assert result.bitstream == build.directory / "icebreaker.bin" and result.bitstream.stat().st_size > 10_000
    assert build.picture.read_text().startswith("<svg")
    assert build.directory.parent.name == "icebreaker" and len(build.directory.name) == 12
    assert not list(build.directory.glob("*.partial"))
    assert json.loads(build.report_file.read_text()) == result.report


def test_report_has_its_names(finished):
    _build, result, _events = finished
    report = result.report
    assert report.keys() == {
        "board", "title", "device", "config", "build_id", "seed", "core_clock_mhz", "timing_met", "resources", "clocks",
        "critical_path", "blocks", "modules", "seconds", "tools", "notes",
    }  # fmt: skip
    assert report["build_id"] == "0x00001234" and report["core_clock_mhz"] == 12 and report["timing_met"] is True
    resources = report["resources"]
    assert resources["block_ram"] == {"used": 1, "available": 30}
    assert resources["lut"]["available"] == 5280 and 24 <= resources["lut"]["used"] < 100
    assert 24 + 9 <= resources["ff"]["used"] < 60
    assert report["clocks"].keys() == {"core"} and report["critical_path"]["clock"] == "core"
    assert report["clocks"]["core"]["fmax_mhz"] > report["clocks"]["core"]["constraint_mhz"]
    assert any(hop["instance"].startswith("accelerator") for hop in report["critical_path"]["hops"])
    assert report["critical_path"]["delay_ns"] == pytest.approx(
        sum(hop["logic_ns"] + hop["routing_ns"] for hop in report["critical_path"]["hops"]), abs=0.02
    )
    assert report["seconds"].keys() == set(STAGES) - {"report", "pack"}
    assert report["tools"].keys() == {"yosys", "nextpnr-ice40", "icepack"}


def test_margin_is_asked_of_nextpnr_and_not_of_the_result(finished):
    build, result, _events = finished
    (asked,) = json.loads((build.directory / "timing.json").read_text())["fmax"].values()
    assert asked["constraint"] == pytest.approx(12 * 1.25, rel=1e-3)
    assert result.report["clocks"]["core"]["constraint_mhz"] == pytest.approx(12, abs=0.01)


def test_finished_build_is_used_again(finished):
    build, _result, _events = finished
    stamp = build.bitstream.stat().st_mtime_ns
    events = []
    again = small_build(build.directory.parents[2])
    assert again.directory == build.directory
    assert again.run(lambda *event: events.append(event)).reused
    assert events == [("emit", "start"), *((stage, "reused") for stage in STAGES)]
    assert build.bitstream.stat().st_mtime_ns == stamp


def test_whatever_changes_the_result_changes_the_folder(finished, tmp_path):
    build, _result, _events = finished
    toolchain = replace(build.toolchain, yosys=replace(build.toolchain.yosys, version="0.99"))
    others = [
        small_build(tmp_path, seed=2),
        small_build(tmp_path, core_hz=13_000_000),
        small_build(tmp_path, toolchain=toolchain),
    ]
    names = {each.directory.name for each in (*others, build)}
    assert len(names) == 4


def test_nothing_is_emitted_before_it_is_needed(tmp_path, monkeypatch):
    emitted = []

    def emit(top):
        emitted.append(top)
        time.sleep(0.02)
        return "module board_top; endmodule"

    monkeypatch.setattr(build_module, "emit", emit)
    build = small_build(tmp_path)
    assert emitted == [] and list(tmp_path.iterdir()) == []
    assert build.directory.parent.parent == tmp_path / "fpga" and emitted == [build.top]
    with pytest.raises(BuildError, match="buffers did not become block RAM"):
        build.run()
    assert emitted == [build.top]
    assert build.seconds()["emit"] >= 0.02


def test_folder_is_that_of_the_sites_and_not_of_their_rule(tmp_path):
    def with_sites(sites):
        family = replace(FAMILIES["ice40"], sites=sites)
        return small_build(tmp_path, family=family).directory.name

    names = []

    def all_at_one(_config, device, block_rams, _products):
        names.append((device, list(block_rams)))
        return dict.fromkeys(block_rams, "X1/Y1/ram")

    one = with_sites(all_at_one)
    assert names == [("UP5K", ["operand_row_0.memory.0.0"])] * 2  # of large buffers, and of all
    assert one == with_sites(lambda _config, _device, block_rams, _products: dict.fromkeys(block_rams, "X1/Y1/ram"))
    assert one != with_sites(lambda _config, _device, block_rams, _products: dict.fromkeys(block_rams, "X2/Y1/ram"))


def test_interrupted_build_goes_on_where_it_stopped(finished, tmp_path):
    build, _result, _events = finished
    again = small_build(tmp_path)
    again.directory.mkdir(parents=True)
    for path in build.directory.iterdir():  # killed while it routed: synthesis is done, and half a design is written
        if path.name.startswith(("board_top", "synth", "emit", "netlist", "statistics")):
            (again.directory / path.name).write_bytes(path.read_bytes())
    (again.directory / "placed.json.partial").write_text("{")
    events = []
    result = again.run(lambda *event: events.append(event))
    assert events[:5] == [
        ("emit", "start"),
        ("emit", "reused"),
        ("synthesize", "reused"),
        ("place_and_route", "start"),
        ("place_and_route", "done"),
    ]
    assert result.bitstream.read_bytes() == build.bitstream.read_bytes()


def with_router(finished, root, monkeypatch, script):
    """The build `finished` with all but place and route done, whose nextpnr is a script of the shell."""
    monkeypatch.setattr("taylorvit.fpga.flow.toolchain._PAUSE", 0.05)
    tools = finished.toolchain
    nextpnr = replace(tools.nextpnr, command=("sh", "-c", script), is_compiled=False)
    again = small_build(root, toolchain=replace(tools, nextpnr=nextpnr))
    again.directory.mkdir(parents=True)
    for path in finished.directory.iterdir():
        if path.name.startswith(("board_top", "synth", "emit", "netlist", "statistics")):
            (again.directory / path.name).write_bytes(path.read_bytes())
    return again


PASS = "echo 'Info:     iter=%s wires=11 overused=%s overuse=4 tmgfail=0 archfail=NA' >> place_and_route.log;"


def test_router_without_progress_is_ended_and_leaves_its_log(finished, tmp_path, monkeypatch):
    passes = PASS % (1, 9000) + "".join(PASS % (number, 1234) for number in range(2, 23))
    again = with_router(finished[0], tmp_path, monkeypatch, f"{passes} while :; do echo >> beats; sleep 0.05; done")
    log = again.directory / "place_and_route.log"
    events = []
    with pytest.raises(BuildError) as error:
        again.run(lambda *event: events.append(event))
    assert str(error.value) == (
        "cannot route: the router makes no progress: 1,234 wires are in conflict after 22 passes, and there were 1,234 "
        f"after 2; choose another --seed, a lower --freq or a smaller configuration ({log} has all passes)"
    )
    assert events[-1] == ("place_and_route", "routing: pass 22, 1,234 wires in conflict")
    assert len(log.read_text().splitlines()) == 22
    beaten = (again.directory / "beats").stat().st_size
    time.sleep(0.3)
    assert (again.directory / "beats").stat().st_size == beaten
    assert not (again.directory / "place_and_route.json").exists()


def test_router_that_ends_is_followed(finished, tmp_path, monkeypatch):
    """The log of a run that was ended, which lies there at first, is not that of this one."""
    build = finished[0]
    files = "".join(
        f"cp {build.directory / name} {name}.partial;" for name in ("placed.json", "timing.json", "routed.asc")
    )
    script = f"sleep 0.3; {PASS % (1, 1204)} {PASS % (2, 0)} sleep 0.3; {files}"
    again = with_router(build, tmp_path, monkeypatch, script)
    (again.directory / "place_and_route.log").write_text("Info:     iter=1 wires=9 overused=5000 \n" * 30)
    events = []
    result = again.run(lambda *event: events.append(event))
    assert result.bitstream.read_bytes() == finished[1].bitstream.read_bytes()
    routing = [event for stage, event in events if stage == "place_and_route"]
    assert routing[0] == "start" and routing[-2:] == ["routing: pass 2, 0 wires in conflict", "done"]


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    "name, damage, stage",
    [
        ("board_top.v", Path.unlink, "emit"),
        ("netlist.json", cut_off, "synthesize"),
        ("placed.json", cut_off, "place_and_route"),
        ("place_and_route.json", cut_off, "place_and_route"),
        ("report.json", cut_off, "report"),
        ("floorplan.svg", Path.unlink, "report"),
        ("icebreaker.bin", Path.unlink, "pack"),
        ("icebreaker.bin", cut_off, "pack"),
    ],
)
def test_stage_whose_file_is_lost_or_damaged_is_done_again(finished, tmp_path, name, damage, stage):
    build, result, _events = finished
    again = small_build(tmp_path)
    shutil.copytree(build.directory, again.directory)
    damage(again.directory / name)
    events = []
    assert again.run(lambda *event: events.append(event)).bitstream.read_bytes() == result.bitstream.read_bytes()
    assert [started for started, event in events if event == "done"] == [stage]


def test_timing_that_is_not_met_leaves_figures_and_no_bitstream(finished, tmp_path):
    # The figures of the finished build, as if more had been wanted.
    build, _result, _events = finished
    late = small_build(tmp_path)
    late.directory.mkdir(parents=True)
    for path in build.directory.iterdir():
        if path.name not in ("report.json", "reported.json", "pack.json", "icebreaker.bin", ".lock"):
            (late.directory / path.name).write_bytes(path.read_bytes())
    timing = json.loads((late.directory / "timing.json").read_text())
    for clock in timing["fmax"].values():
        clock["constraint"] = 2 * clock["achieved"]
    (late.directory / "timing.json").write_text(json.dumps(timing))
    marker = late.directory / "place_and_route.json"
    files = described(late.directory, [late.directory / "timing.json"])
    marker.write_text(json.dumps({"seconds": 1.0, "files": files}))
    why = r"^cannot pack a bitstream: timing is not met: .* reaches .* MHz; choose another --seed"
    with pytest.raises(BuildError, match=why):
        late.run()
    assert late.report()["timing_met"] is False and late.picture.exists()
    assert not late.bitstream.exists()
    with pytest.raises(BuildError, match=why):  # also when it is asked for again
        late.run()


def test_buffer_that_is_no_block_ram_is_an_error(tmp_path):
    build = small_build(tmp_path, synthesis=("-nobram",))
    with pytest.raises(
        BuildError,
        match=r"^cannot place and route: these buffers did not become block RAM: accelerator.operand_row_0 "
        r"\(512 x 8\); .*/synthesis.log has what Yosys made of them$",
    ):
        build.run()
    assert not (build.directory / "synthesize.json").exists()


@pytest.mark.parametrize(("kind", "is_checked"), [("auto", True), ("block", True), ("huge", False)])
def test_buffers_of_other_kinds_need_not_be_block_ram(kind, is_checked, tmp_path):
    build = small_build(tmp_path)
    build.top.counter.bank = memory_bank(depth=512, width=8, kind=kind)
    assert [path for path, _block in build._large_buffers()] == ["accelerator.operand_row_0"] * is_checked


def test_failing_tool_ends_the_build_and_the_next_run_repeats_the_stage(tmp_path):
    toolchain = find_toolchain(FAMILIES["ice40"])
    broken = replace(toolchain, yosys=Tool("yosys", ("/bin/false",), toolchain.yosys.version, toolchain.yosys.origin))
    build = small_build(tmp_path, toolchain=broken)
    with pytest.raises(FpgaToolError, match="^yosys failed with exit status 1; its output is in "):
        build.run()
    events = []
    with pytest.raises(FpgaToolError):
        build.run(lambda *event: events.append(event))
    assert events == [("emit", "start"), ("emit", "reused"), ("synthesize", "start")]


def test_compilation_of_a_tool_is_not_in_the_time_of_a_stage(finished, tmp_path, monkeypatch):
    build, _result, _events = finished
    again = small_build(tmp_path)
    shutil.copytree(build.directory, again.directory)
    again.bitstream.unlink()
    events = []
    monkeypatch.setattr(build_module, "get_ready", lambda tool: events.append((tool.name, "ready")))
    again.run(lambda *event: events.append(event))
    assert events[-3:] == [(again.toolchain.pack.name, "ready"), ("pack", "start"), ("pack", "done")]


def test_instances_are_found_by_the_paths_of_the_flattened_netlist():
    board = load_board("icebreaker")
    paths = dict(instances(SmallTop(board, board.preset().config)))
    assert paths.keys() == {"accelerator", "accelerator.operand_row_0"}
    assert isinstance(paths["accelerator.operand_row_0"], MemoryBank)


def test_progress_may_be_left_out_and_folder_is_a_path(finished):
    build, _result, _events = finished
    assert isinstance(build.directory, Path)
    assert small_build(build.directory.parents[2]).run().reused
