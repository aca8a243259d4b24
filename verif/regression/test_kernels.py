"""A second kernel from its two files to a verdict: the seam does not know Taylor attention.

The kernel is `verif.regression.mean_kernel`. It is generated, its registers exported, simulated with random and extreme
jobs and a user's tensors, and judged; the hardware's own registers tell a host which kernel it is.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace

import cocotb
import numpy as np
import pytest
from rich.console import Console

from taylorvit.fpga.driver import JobReport
from taylorvit.gen.generate import generate
from taylorvit.gen.verilog import blocks, emit
from taylorvit.golden.attention import kernels as golden
from taylorvit.golden.metadata import load_accelerator
from taylorvit.jobs import Outcome, format_of, golden_steps, judge, read_operands, save_result
from taylorvit.jobs.golden import golden_kernel
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.attention import KERNELS
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.host_view import VIEW_REGISTERS, HostView
from taylorvit.simulation import build, parameters, record, run
from taylorvit.simulation.host import AcceleratorHost
from verif.tools.lint import verilator_warnings

from .checks import run_and_check
from .configurations import CONFIGURATIONS, and_other_kernels
from .jobs import EXTREMES, extreme_job, limits_of_constants, random_constants, random_job
from .mean_kernel import MEAN, registered
from .shapes import SHAPES, shapes_of

CONFIG = {"name": "mean-5x3", "kernel": MEAN, "rows": 5, "columns": 3, "max_tokens": 40, "max_head_dim": 8,
          "stream_width": 8, "memory_pipeline": 1}  # fmt: skip


def shown(table):
    screen = Console(width=120, file=io.StringIO())
    screen.print(table)
    return screen.file.getvalue()


@pytest.fixture
def config():
    with registered():
        yield AcceleratorConfig(**CONFIG)


@cocotb.test()
async def jobs_equal_golden(dut):
    """Jobs of a kernel that this test adds equal its golden model."""
    with registered():
        config = AcceleratorConfig(**CONFIG)
        host = await AcceleratorHost.start(dut, config)
        words = {name: await host.read(name) for name in VIEW_REGISTERS}
        assert HostView.from_registers(words, config.name) == HostView.of(config)
        generator = np.random.default_rng(cocotb.RANDOM_SEED)
        for shape in ((3, 40, 8), (2, 1, 1), (4, 7, 5), (2, 17, 3)):
            for _trial in range(4):
                await run_and_check(host, random_job(generator, config, *shape))
        for constants in limits_of_constants(config):
            for kind in EXTREMES:
                await run_and_check(host, extreme_job(kind, config, 1, 9, 5, constants))


@cocotb.test()
async def operands_of_a_user(dut):
    """Operands from a file go through the kernel that this test adds."""
    with registered():
        config = AcceleratorConfig(**CONFIG)
        host = await AcceleratorHost.start(dut, config)
        operands = read_operands(parameters()["input"], config)
        result = await host.run(operands.job)
        record("z", result.z.tolist())
        record("counters", result.counters)
        record("events", sorted(await host.events()))


def test_simulated(config, tmp_path):
    folder = tmp_path / "generated"
    generate(config, folder)
    assert verilator_warnings(folder, "taylorvit") == []
    assert json.loads((folder / "metadata.json").read_text())["configuration"]["kernel"] == MEAN
    assert "SHIFT_G" not in (folder / "registers" / "taylorvit_registers.h").read_text()
    with pytest.raises(
        ValueError, match=f"kernel must be one that integer networks have, taylor, softmax, not '{MEAN}'$"
    ):
        load_accelerator(folder / "metadata.json")

    q, k, v = np.random.default_rng(0).standard_normal((3, 4, 21, 7))
    np.savez(tmp_path / "qkv.npz", q=q, k=k, v=v)
    simulation = build((folder / "taylorvit.v").read_text(), "taylorvit")
    result = run(simulation, __name__, parameters={"input": str(tmp_path / "qkv.npz")})
    assert result.tests == 2

    operands = read_operands(tmp_path / "qkv.npz", config)
    z = np.array(result.measurements["z"])
    report = JobReport(len(q), result.measurements["counters"], frozenset(result.measurements["events"]))
    verdict = judge(Outcome(z, [report]), operands, config)
    assert verdict.mismatches == [] and not verdict.wrong_events
    text = shown(verdict.table)
    assert f"SHIFT_Z {operands.job.constants.shift_z}" in text and "against the mean of V in float64" in text
    z[1, 2, 3] += 1
    (_count, difference) = judge(Outcome(z, [report]), operands, config).mismatches
    assert difference.startswith("  head 1, token 2, feature 3: got ") and "(shift_z " in difference
    z[1, 2, 3] -= 1
    save_result(tmp_path / "z.npz", z, operands.job, config)
    with np.load(tmp_path / "z.npz") as saved:
        assert saved["shift_z"] == operands.job.constants.shift_z and "c_v" not in saved
        np.testing.assert_allclose(saved["z"], np.broadcast_to(v.mean(axis=1, keepdims=True), v.shape), atol=0.02)


# What every kernel must keep, and what the tests of the whole accelerator do with it.

EACH_KERNEL = {f"{kernel}-4x4": AcceleratorConfig(name=kernel, kernel=kernel, rows=4, columns=4) for kernel in KERNELS}
EACH = pytest.mark.parametrize("name", [*EACH_KERNEL, "mean-5x3"])
SMALLEST = {"rows": 2, "columns": 1, "max_tokens": 1, "max_head_dim": 1, "max_heads": 1, "stream_width": 8,
            "data_width": 2, "memory_pipeline": 0}  # fmt: skip


@EACH
def test_lint(name, config, tmp_path):
    """Verilator warns of nothing in any kernel, and each waiver of a kernel's own blocks is needed."""
    config = EACH_KERNEL.get(name, config)
    accelerator, taylor = Accelerator(config), Accelerator(EACH_KERNEL["taylor-4x4"])
    # Those of Taylor attention, and what it shares, take more configurations: `verif.tools.test_lint`.
    own = {type(block) for block in blocks(accelerator)} - {type(block) for block in blocks(taylor)}
    others = [CONFIGURATIONS[other] for other in and_other_kernels()]
    others = [other for other in others if other.kernel == config.kernel]
    verilog = ""
    for each in (config, *others, *([replace(config, **SMALLEST)] if own else [])):
        text = emit(Accelerator(each))
        (tmp_path / "taylorvit.v").write_text(text, encoding="utf-8")
        assert verilator_warnings(tmp_path, "taylorvit") == [], each
        verilog += text
    reasons = {reason for kind in own for reason in kind.waivers.values()}
    assert {reason for reason in reasons if f"// {reason}\n" not in verilog} == set()


@EACH
def test_random_constants(name, config):
    """Over the whole of their ranges, not only at the ends; of long ranges also the small ones."""
    config = EACH_KERNEL.get(name, config)
    generator, number_format = np.random.default_rng(0), format_of(config)
    drawn = [random_constants(config, generator) for _trial in range(300)]
    for constants in drawn:
        constants.check(number_format)
    for field, (least, most) in golden_kernel(config).constants.ranges(number_format).items():
        values = {getattr(constants, field) for constants in drawn}
        assert len(values) >= min(most - least + 1, 100) * 3 // 4, field
        assert min(values) - least <= 3 and most - max(values) <= (most - least) // 2, field


def test_random_jobs_vary_the_constants(config):
    generator = np.random.default_rng(0)
    jobs = [random_job(generator, config, 1, 4, 3) for _trial in range(60)]
    assert len({job.constants.shift_z for job in jobs}) > 15
    assert sum(job.constants.shift_z in (0, 1) for job in jobs) > 15  # those that the quantizer finds


def test_configuration_joins_the_tests(config, monkeypatch):
    """A configuration of another kernel is one of every list of the regression, without shapes of its own."""
    assert and_other_kernels("tiny-4x4")[0] == "tiny-4x4"
    monkeypatch.setitem(CONFIGURATIONS, config.name, config)
    assert and_other_kernels("tiny-4x4")[-1] == config.name
    for one in (config, AcceleratorConfig(**CONFIG | {"max_tokens": 1, "max_head_dim": 1, "max_heads": 1})):
        shapes = shapes_of(one)
        assert shapes[0][1:] == (one.max_tokens, one.max_head_dim) and len(shapes) > 5
        assert all(
            1 <= size <= limit
            for shape in shapes
            for size, limit in zip(shape, (one.max_heads, one.max_tokens, one.max_head_dim))
        )
    assert shapes_of(CONFIGURATIONS["array-8x4"]) == SHAPES["array-8x4"]


# Golden and hardware know nothing of each other: what they agree on.


def test_same_kernels():
    assert list(golden.KERNELS) == list(KERNELS)


@pytest.mark.parametrize("name", [*CONFIGURATIONS, *EACH_KERNEL, "mean-5x3"])
def test_same_registers(name, config):
    """Names, order and ranges of the constants are those of the registers, for a configuration and for a host."""
    config = (CONFIGURATIONS | EACH_KERNEL).get(name, config)
    for view in (config, HostView.of(config)):
        ranges = golden_kernel(view).constants.ranges(format_of(view))
        registers = config.spec.job_registers(view)
        assert [*ranges] == [register.name for register in registers]
        assert [*ranges.values()] == [(register.minimum, register.maximum) for register in registers]
        tables = golden_kernel(view).constants.table_ranges(format_of(view))
        assert tables == {table.name: (table.entries, (1 << table.width) - 1) for table in config.spec.job_tables(view)}


def test_unknown_to_the_golden_model(config, monkeypatch):
    monkeypatch.delitem(golden.KERNELS, MEAN)
    known = ", ".join(golden.KERNELS)
    with pytest.raises(ValueError, match=f"^kernel must be one of {known} in the golden model, not '{MEAN}'$"):
        golden_steps(None, config)
