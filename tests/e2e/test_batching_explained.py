"""What a real server says of its batches agrees with what was sent, and with its metrics."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import twice
from prometheus_client.parser import text_string_to_metric_families
from server import Server
from waiting import until

Told = dict[str, Any]


def send(server: Server, sizes: list[list[int]]) -> None:
    """Each list is a caller that sends so many rows, one request after the other."""

    async def caller(rows: list[int]) -> None:
        async with httpx.AsyncClient() as client:
            for number in rows:
                answer = await client.post(
                    f"{server.base_url}/slowly", json={"x": [1] * number, "wait_s": 0.001}
                )
                assert answer.json() == [2] * number

    async def all_of_them() -> None:
        await asyncio.gather(*(caller(rows) for rows in sizes))

    asyncio.run(all_of_them())


def told_by(server: Server) -> Told:
    answer: Told = httpx.get(f"{server.base_url}/debug/batching").json()
    return answer


def doubles(told: Told) -> list[Told]:
    return [process["runners"]["doubler"]["methods"]["double"] for process in told["processes"]]


def counted(server: Server, name: str, label: str = "") -> Counter[str]:
    """Values of a metric of `double`, summed by one label."""
    page = httpx.get(f"{server.base_url}/metrics").text
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == name and sample.labels.get("method") == "double":
                found[sample.labels.get(label, "")] += int(sample.value)
    return found


def test_the_numbers_agree(tmp_path: Path) -> None:
    twice.write(tmp_path)
    chance = random.Random(3)
    sizes = [[chance.choice((1, 1, 2, 5, 17)) for _ in range(12)] for _ in range(12)]
    rows, requests = sum(map(sum, sizes)), sum(map(len, sizes))
    with Server(tmp_path, "--processes", "2", "--workers", "doubler=2", "--log-level", "error") as server:
        send(server, sizes)
        told = told_by(server)
        assert (told["silent"], [each["process"] for each in told["processes"]]) == ([], ["api-0", "api-1"])
        known = doubles(told)
        assert (sum(each["rows"] for each in known), sum(each["requests"] for each in known)) == (
            rows,
            requests,
        )
        reasons = sum((Counter(each["reasons"]) for each in known), Counter[str]())
        assert reasons == counted(server, "tiffin_batches_total", "reason")
        assert counted(server, "tiffin_batch_rows_sum")[""] == rows
        for each in known:
            last = each["last_batches"]
            assert len(last) == min(64, sum(each["reasons"].values()))
            if len(last) < 64:
                assert sum(batch["rows"] for batch in last) == each["rows"]
            assert all(abs(time.time() - batch["at"]) < 60 and batch["service_s"] > 0 for batch in last)
            assert each["waiting"] == 0
        assert counted(server, "tiffin_batch_cap", "process").keys() == {"api-0", "api-1"}
        # The same in the terminal, and in the log when it is asked for.
        command = [sys.executable, "-m", "tiffin", "batching", server.base_url, "--json"]
        shown = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        assert [each["rows"] for each in doubles(shown)] == [each["rows"] for each in known]
        os.kill(server.pid, signal.SIGUSR1)
        until(lambda: server.log().count("doubler.double: ") == 2)
        assert "batching of api-0, generation 1" in server.log()
        assert "batching of api-1, generation 1" in server.log()
        total = sum(sum(each["reasons"].values()) for each in known)
        logged = [line for line in server.log().splitlines() if line.startswith("doubler.double: ")]
        assert sum(0 if "no batches" in line else int(line.split()[1]) for line in logged) == total


def test_a_process_that_came_anew_is_asked(tmp_path: Path) -> None:
    twice.write(tmp_path)
    with Server(tmp_path, "--processes", "2", "--no-access-log") as server:
        send(server, [[1, 2]])
        before = {each["process"]: each["pid"] for each in told_by(server)["processes"]}
        os.kill(before["api-1"], signal.SIGKILL)

        def back() -> bool:
            now = {each["process"]: each["pid"] for each in told_by(server)["processes"]}
            return now.keys() == before.keys() and now["api-1"] != before["api-1"]

        until(back)
        page = httpx.get(f"{server.base_url}/debug/batching", headers={"accept": "text/html"})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
