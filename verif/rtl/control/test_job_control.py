"""Job control: end of a job, watchdog and alignment, cycle by cycle."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.job_control import JobControl
from taylorvit.simulation import build, expect_equal, run, start
from verif.rtl.harness import SideBySide, View, idle_inputs

STREAMS = 3
CONFIGS = {
    f"width_{width}": AcceleratorConfig(name="job", rows=4, columns=4, data_width=width, stream_width=16)
    for width in (4, 8, 12, 16)
} | {
    # No left shift of T_N; no choice at all.
    "right_shifts": AcceleratorConfig(name="job", rows=4, columns=4, shift_z_max=7),
    "one_shift": AcceleratorConfig(name="job", rows=4, columns=4, shift_z_min=0, shift_z_max=0),
}


def blocks():
    return {name: JobControl(config, streams=STREAMS) for name, config in CONFIGS.items()}


@cocotb.test()
async def a_job_ends_with_its_last_head_and_idle_streams(dut):
    """A job is done when its last head has left and all streams are idle, and not before."""
    block = SideBySide(blocks())
    await start(dut, **idle_inputs(block))
    view, edge = View(dut, "width_8"), RisingEdge(dut.clk)
    generator = random.Random(cocotb.RANDOM_SEED)
    view.timeout.value = 1_000_000
    for heads in (1, 2, 3, 17, 1):
        view.heads.value, view.start.value = heads, 1
        await edge
        expect_equal("busy before the job", view.busy.value, 0)
        view.start.value = 0
        sent, counted, ended = 0, 0, False  # what leaves counts a cycle later
        for _ in range(2_000):
            idle = generator.choice((0b111, 0b111, generator.getrandbits(STREAMS)))
            send = sent < heads and generator.random() < 0.2
            view.idle.value, view.sent.value = idle, send
            await edge
            expect_equal("busy", view.busy.value, not ended)
            expect_equal("done", view.done.value, not ended and counted == heads and idle == 0b111)
            ended = ended or bool(view.done.value)
            sent, counted = sent + send, sent
            if ended and generator.random() < 0.1:
                break
        expect_equal("the job ended with all heads sent", (ended, sent), (True, heads))


@cocotb.test()
async def the_watchdog_waits_for_a_silent_source_only(dut):
    """The watchdog counts only cycles in which a source alone holds the job up."""
    block = SideBySide(blocks())
    await start(dut, **idle_inputs(block))
    view, edge = View(dut, "width_8"), RisingEdge(dut.clk)
    generator = random.Random(cocotb.RANDOM_SEED)
    expired = 0
    for timeout in (1, 2, 7, 40):
        view.timeout.value, view.heads.value, view.start.value, view.starving.value = timeout, 1, 1, 0
        await edge
        view.start.value = 0
        quiet = False  # the source held the job up a cycle ago
        silent = 0  # such cycles before that one
        for _ in range(60 * timeout):
            starving, moving, array_busy, sink_waits = generator.getrandbits(STREAMS) | 1, 0, 0, 0
            if generator.random() < 0.5 / timeout:
                starving, moving, array_busy, sink_waits = generator.choice(
                    ((0, 0, 0, 0), (1, 2, 0, 0), (3, 0, 1, 0), (4, 0, 0, 1))
                )
            view.starving.value, view.moving.value = starving, moving
            view.array_busy.value, view.sink_waits.value = array_busy, sink_waits
            await edge
            expires = quiet and silent == timeout
            expect_equal(f"input_timeout after {silent} of {timeout} silent cycles", view.input_timeout.value, expires)
            silent = silent + 1 if quiet and not expires else 0
            expired += expires
            quiet = bool(starving) and not (moving or array_busy or sink_waits)
        # The job ends, and with it the watch.
        view.sent.value, view.idle.value, view.starving.value = 1, 0b111, 0
        await edge
        view.sent.value = 0
        await edge
        view.starving.value, view.moving.value = 0b111, 0
        view.array_busy.value, view.sink_waits.value = 0, 0
        await edge
        for _ in range(3 * timeout):
            await edge
            expect_equal("input_timeout without a job", view.input_timeout.value, 0)
        view.idle.value = 0
    expect_equal("it expired", expired > 20, True)


@cocotb.test()
async def a_beat_in_any_cycle_around_the_end_starts_the_watch_anew(dut):
    """A beat that comes in the last cycle of the wait is in time."""
    await start(dut, **idle_inputs(SideBySide(blocks())))
    view, edge = View(dut, "width_8"), RisingEdge(dut.clk)
    timeout = 5
    view.timeout.value, view.heads.value, view.start.value = timeout, 1, 1
    await edge
    view.start.value = 0
    for stream in range(STREAMS):
        for silence in range(2 * timeout):  # cycles before the beat
            view.starving.value, view.moving.value = 0, 1 << stream
            await edge
            seen = []
            for cycle in range(silence + 1 + 2 * timeout):
                comes = cycle == silence
                view.starving.value, view.moving.value = (0, 1 << stream) if comes else (1 << stream, 0)
                await edge
                seen.append(int(view.input_timeout.value))
            # `timeout` + 1 cycles without a beat, and the next one is one's last chance.
            expected = [int(since == timeout + 1) for length in (silence + 1, 2 * timeout) for since in range(length)]
            expect_equal(f"input_timeout with a beat of stream {stream} in cycle {silence}", seen, expected)


@cocotb.test()
async def quotients_are_aligned(dut):
    """The shifts of numerator and divisor give the exponent of Z for every SHIFT_Z."""
    await start(dut, **idle_inputs(SideBySide(blocks())))
    edge = RisingEdge(dut.clk)
    for name, config in CONFIGS.items():
        view = View(dut, name)
        for shift_z in range(config.shift_z_min, config.shift_z_max + 1):
            view.shift_z.value = shift_z % (1 << len(view.shift_z))
            await edge
            await edge
            # T_N 2^shift_z / t_D in units of 2^(1 - W), whichever of the two is shifted.
            shift = shift_z - (config.data_width - 1)
            shifts = int(view.numerator_shift.value), int(view.divisor_shift.value)
            expect_equal(f"shifts of {shift_z} at {name}", shifts, (max(0, shift), max(0, -shift)))


def test_job_control():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.tests == 4
