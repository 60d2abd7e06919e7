"""What a dispatcher tells of itself."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from fake_links import Bench, settle
from virtual_time import run

from tiffin.errors import InferenceError


def test_it_explains_what_was_learned_and_why_each_batch_left() -> None:
    async def main() -> None:
        bench = Bench(max_batch_size=4, policy=None)
        bad = bench.call(9)
        await settle()
        bench.links[0].fail()
        with pytest.raises(InferenceError):
            await bad
        for _ in range(3):
            calls = [bench.call(1), bench.call(2, 3)]
            await asyncio.sleep(0.25)
            bench.links[0].answer()
            await asyncio.gather(*calls)
        running = bench.call(*range(4))
        await asyncio.sleep(2)
        queued = bench.call(*range(3))
        await settle()

        told = json.loads(json.dumps(bench.dispatcher.explain(), allow_nan=False))
        assert (told["runner"], told["workers"], told["idle"], told["queue_rows"]) == ("toy", 1, 0, 3)
        (at_worker,) = told["running"]
        assert at_worker == {
            "worker": "w0",
            "method": "double",
            "rows": 4,
            "requests": 1,
            "reason": "full",
            "for_s": pytest.approx(2),
        }
        method = told["methods"]["double"]
        assert (method["max_rows"], method["max_latency_s"], method["workers"]) == (4, None, 1)
        assert (method["waiting"], method["batches"], method["batch"]) == (3, 3, True)
        assert method["service_s"] == [{"rows": 3, "seconds": pytest.approx(0.25), "samples": 2}]
        assert method["reasons"] == {"idle worker": 4}, method
        assert [batch["failed"] for batch in method["last_batches"]] == [True, False, False, False]
        first = method["last_batches"][1]
        assert time.time() - first.pop("at") == pytest.approx(0.75 + 2, abs=60)
        assert first == {
            "rows": 3,
            "requests": 2,
            "reason": "idle worker",
            "waited_s": 0,
            "service_s": pytest.approx(0.25),
            "worker": "w0",
            "failed": False,
        }
        assert told["methods"]["hello"]["batch"] is False
        bench.links[0].answer()
        await settle()
        bench.links[0].answer()
        await asyncio.gather(running, queued)

    run(main)


def test_it_remembers_the_last_batches_only() -> None:
    async def main() -> None:
        bench = Bench()
        for number in range(70):
            call = bench.call(number)
            await asyncio.sleep(1)
            bench.links[0].answer()
            await call
        told = bench.dispatcher.explain()["methods"]["double"]
        assert len(told["last_batches"]) == 64
        ats = [batch["at"] for batch in told["last_batches"]]
        assert ats == sorted(ats)
        assert sum(told["reasons"].values()) == 70
        assert (told["requests"], told["rows"]) == (70, 70)

    run(main)
