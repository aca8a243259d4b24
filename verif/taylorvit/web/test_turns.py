"""One has its turn, some wait in order, the rest are told so."""

import asyncio

import pytest

from taylorvit.web.turns import BusyError, Turns


def test_one_at_a_time_in_order():
    done = []

    async def take(turns, name):
        async with turns.turn():
            done.append(f"{name} begins")
            await asyncio.sleep(0.01)
            done.append(f"{name} ends")

    async def run():
        turns = Turns(2)
        await asyncio.gather(*(take(turns, name) for name in "abc"))

    asyncio.run(run())
    assert done == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]


def test_too_many():
    async def run():
        turns, leave = Turns(1), asyncio.Event()

        async def stay():
            async with turns.turn():
                await leave.wait()

        there = [asyncio.create_task(stay()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            async with turns.turn():
                raise AssertionError("must not get here")
        there[1].cancel()  # whoever waits may leave
        await asyncio.sleep(0)
        leave.set()
        async with turns.turn():
            await there[0]

    asyncio.run(run())


def test_turn_ends_with_an_error():
    async def run():
        turns = Turns(0)
        for _ in range(3):
            with pytest.raises(ValueError, match="x"):
                async with turns.turn():
                    raise ValueError("x")

    asyncio.run(run())
