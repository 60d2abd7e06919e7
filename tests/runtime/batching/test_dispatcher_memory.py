"""What was answered is freed at once: arrays are large, and the cycle collector counts objects, not bytes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fake_links import Bench, settle
from virtual_time import run

from tiffin.errors import TiffinError


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def answered(bench: Bench, task: asyncio.Task[object]) -> None:
    bench.links[0].answer()


def failed(bench: Bench, task: asyncio.Task[object]) -> None:
    bench.links[0].fail()


def cancelled(bench: Bench, task: asyncio.Task[object]) -> None:
    task.cancel()


def killed_twice(bench: Bench, task: asyncio.Task[object]) -> None:
    bench.links[0].die()
    again = bench.hire("next")
    bench.dispatcher._sending.turn()
    assert again.holds is not None
    bench.dispatcher.on_begin(again, again.holds.batch)
    again.die()
    again.sent.clear()


@pytest.mark.parametrize("end", [answered, failed, cancelled, killed_twice])
def test_nothing_holds_the_arguments(end: Callable[[Bench, asyncio.Task[object]], None]) -> None:
    async def main() -> None:
        bench = Bench()
        array = np.zeros((4, 1))
        alive = weakref.ref(array)
        task = bench.start("double", (array,), {})
        await settle()
        end(bench, task)
        with contextlib.suppress(TiffinError, asyncio.CancelledError):
            await task
        if bench.links[0].holds is not None:  # the worker of a caller that has gone answers all the same
            bench.links[0].answer()
        bench.links[0].sent.clear()
        del array, task
        await settle()
        assert alive() is None

    run(main)
