"""Row scheduler: rows enter the divider array in their order, as soon as they may, and leave it when told."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from amaranth.hdl import Module

from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.network.division.row_scheduler import RowScheduler
from verif.rtl.harness import simulate

CONFIG = AcceleratorConfig(name="rows", rows=4, columns=4, kernel="softmax", max_tokens=10, max_head_dim=8)
WRITE_BACK_DELAY = 7


@pytest.mark.parametrize("interval", [1, 2, 5, 9])
def test_rows_enter_in_order(interval):
    generator = random.Random(interval)
    config = replace(CONFIG, divider_interval=interval)
    scheduler = RowScheduler(config, write_back_delay=WRITE_BACK_DELAY)
    depth = config.row_queue_depth
    m = Module()
    m.submodules.scheduler = scheduler

    async def bench(context):
        waiting, place, entered, idle = 0, 0, [], 0
        pace = 0.5
        for cycle in range(600):
            if cycle % 100 == 0:
                pace = generator.choice((0.05, 0.5, 1))
            divides = context.get(scheduler.divide.start)
            assert divides == context.get(scheduler.row_divided)
            if divides:
                assert waiting > 0 and (not entered or cycle - entered[-1] >= interval)
                assert context.get(scheduler.divide.queue_address) == place
                waiting, place = waiting - 1, (place + 1) % depth
                entered.append(cycle)
            # A row enters two cycles after it was queued, if the divider array is free.
            idle = 0 if divides or not waiting or (entered and cycle - entered[-1] < interval) else idle + 1
            assert idle <= 2
            assert context.get(scheduler.write_back) == (cycle - WRITE_BACK_DELAY in entered)
            queued = waiting < depth and generator.random() < pace
            context.set(scheduler.row_queued, queued)
            await context.tick()
            waiting += queued
        assert len(entered) > 50

    simulate(m, bench)
