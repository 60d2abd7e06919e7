"""Real processes die in every way while callers ask: who fails, counted."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import crowd
import httpx
import pytest
from fire import Fire
from server import Server
from waiting import until

BURN_S = 10.0
CLIENT = httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))


@pytest.mark.chaos
@pytest.mark.slow
def test_kill_9_of_anything_costs_only_what_was_in_its_hands(tmp_path: Path) -> None:
    crowd.write(tmp_path)

    async def play(server: Server) -> None:
        callers = crowd.Crowd(server.base_url, 64)
        fire = Fire(server, every_s=0.6)
        stop = asyncio.Event()
        asking = asyncio.ensure_future(callers.ask_until(stop))
        await callers.more(100)
        await fire.burn(callers, BURN_S)
        await callers.more(200)  # it goes on afterwards
        stop.set()
        await asking
        print(dict(callers.counts), dict(fire.counts()), f"slowest {callers.slowest_s:.2f} s")
        fire.judge(callers)

    with Server(tmp_path, "--processes", "2", "--no-access-log") as server:
        asyncio.run(play(server))
        until(lambda: len(server.pids("server")) == len(server.pids("worker")) == 2)
        assert server.stop() == 0


DEADLY = """
import os
import signal
import time

import tiffin


class Pid:
    def pid(self) -> int:
        return os.getpid()


class Deadly(Pid):
    @tiffin.batch(max_size=8)
    def take(self, x: list[int]) -> list[int]:
        if 666 in x:
            os.kill(os.getpid(), signal.SIGKILL)
        return [2 * value for value in x]


class Slow:
    def take(self, x: int, gate: str) -> int:
        while not os.path.exists(gate):
            time.sleep(0.01)
        return x


class Writer(Pid):
    @tiffin.batch(max_size=8)
    def append(self, x: list[int], file: str = "") -> list[int]:
        with open(file, "a") as log:
            log.write("".join(f"{value} {os.getpid()}\\n" for value in x))
        while os.path.exists(file + ".held"):
            time.sleep(0.01)
        return x


@tiffin.service(processes=2)
class Fire:
    deadly = tiffin.runner(Deadly, workers=2)
    slow = tiffin.runner(Slow, max_queue_rows=4)
    writer = tiffin.runner(Writer, workers=2, retry=False)

    @tiffin.api
    async def take(self, x: int) -> dict[str, int]:
        return {"y": await self.deadly.take.one(x), "pid": os.getpid()}

    @tiffin.api(timeout_s=60)
    async def wait(self, x: int, gate: str) -> int:
        return await self.slow.take(x, gate)

    @tiffin.api(timeout_s=1)
    async def hurry(self, x: int) -> int:
        return await self.deadly.take.one(x)

    @tiffin.api
    async def worker(self, runner: str) -> int:
        return await getattr(self, runner).pid()

    @tiffin.api
    async def once(self, x: int, file: str) -> int:
        return await self.writer.append.one(x, file=file)
"""


@pytest.fixture(scope="module")
def fire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("deadly")
    crowd.write(folder, DEADLY)
    with Server(folder, "--no-access-log") as server:
        yield server
        assert server.stop() == 0


def workers(server: Server, runner: str) -> list[int]:
    """Process ids of the two workers of a runner."""
    found: set[int] = set()
    with ThreadPoolExecutor(8) as pool:
        while len(found) < 2:
            asked = [
                pool.submit(post, f"{server.base_url}/worker", json={"runner": runner}) for _ in range(8)
            ]
            found |= {int(one.result().json()) for one in asked}
    return sorted(found)


def post(url: str, **request: Any) -> httpx.Response:
    """On a connection of its own: it may come to any of the API processes."""
    return CLIENT.post(url, **request)


def restarts(server: Server, runner: str) -> float:
    page = httpx.get(f"{server.base_url}/metrics").text
    found = re.findall(rf'tiffin_worker_restarts_total{{[^}}]*runner="{runner}"[^}}]*}} ([0-9.]+)', page)
    return sum(map(float, found))


@pytest.mark.chaos
def test_poison_is_remembered_by_every_api_process(fire: Server) -> None:
    """Neighbours of a request that ends its worker are answered; sent again it ends no third worker."""

    def send(x: int) -> httpx.Response:
        return post(f"{fire.base_url}/take", json={"x": x})

    before = restarts(fire, "deadly")
    with ThreadPoolExecutor(24) as pool:
        neighbours = [pool.submit(send, x) for x in range(12)]
        guilty = pool.submit(send, 666)
        neighbours += [pool.submit(send, x) for x in range(12, 23)]
        assert guilty.result().status_code == 500
        assert "ended two workers" in guilty.result().json()["title"]
        assert [one.result().json()["y"] for one in neighbours] == [2 * x for x in range(23)]
    until(lambda: restarts(fire, "deadly") == before + 2)
    pids: Counter[int] = Counter()
    while len(pids) < 2:  # until both processes have refused it, on connections of their own
        answer = send(666)
        assert (answer.status_code, "equal request" in answer.json()["detail"]) == (500, True)
        pids[send(1).json()["pid"]] += 1
    for pid in fire.pids("server"):  # those that start later know it too
        os.kill(pid, signal.SIGKILL)
    until(lambda: not set(pids) & set(fire.pids("server")))
    for _ in range(4):
        assert "equal request" in send(666).json()["detail"]
    assert restarts(fire, "deadly") == before + 2
    assert send(667).json()["y"] == 1334


@pytest.mark.chaos
def test_what_may_not_be_repeated_is_not(fire: Server, tmp_path: Path) -> None:
    """With `retry=False` nothing is run twice, whichever worker dies when; what ran is told."""
    file, held = tmp_path / "ran", tmp_path / "ran.held"
    file.touch()
    held.touch()
    victims = workers(fire, "writer")

    def send(x: int) -> tuple[int, int]:
        return x, post(f"{fire.base_url}/once", json={"x": x, "file": str(file)}, timeout=30).status_code

    with ThreadPoolExecutor(16) as pool:
        sent = [pool.submit(send, x) for x in range(300)]
        for victim in victims:  # each has a batch in its hands
            until(lambda: str(victim) in file.read_text().split())  # noqa: B023
            os.kill(victim, signal.SIGKILL)
        held.unlink()
        answers = dict(one.result() for one in sent)
    ran = Counter(int(line.split()[0]) for line in file.read_text().splitlines())
    assert set(ran.values()) == {1}
    lost = {x for x, status in answers.items() if status != 200}
    assert {x for x, status in answers.items() if status == 200} <= set(ran)
    assert {answers[x] for x in lost} <= {500}
    assert 2 <= len(lost) <= 2 * 2 * 8, "at most a batch of each API process at each worker that was killed"


@pytest.mark.chaos
def test_a_full_queue_refuses_at_once(fire: Server, tmp_path: Path) -> None:
    """While nothing that was accepted is answered; and says when to come again."""
    gate = tmp_path / "gate"
    body = json.dumps({"x": 1, "gate": str(gate)}).encode()
    request = b"POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    refused: list[bytes] = []

    async def one() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(fire.base_url.rpartition(":")[2]))
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        if head.startswith(b"HTTP/1.1 503"):
            refused.append(head.lower())
        return int(head.split(b" ", 2)[1])

    async def play() -> list[int]:
        asking = [asyncio.ensure_future(one()) for _ in range(100)]
        while len(refused) < 90:  # noqa: ASYNC110 - it is a count
            await asyncio.sleep(0.01)
        gate.touch()
        return await asyncio.gather(*asking)

    counts = Counter(asyncio.run(play()))
    assert set(counts) == {200, 503}
    assert 5 <= counts[200] <= 2 * 5  # of each API process: four wait, and one is at the worker
    assert all(re.search(rb"\r\nretry-after: [1-9][0-9]*\r\n", head) for head in refused)


@pytest.mark.chaos
@pytest.mark.slow
def test_a_worker_that_stands_still_is_replaced(fire: Server) -> None:
    """Stopped, not ended: it answers nothing and closes nothing. Who waits for it is answered in time."""

    def hurry(x: int) -> int:
        return post(f"{fire.base_url}/hurry", json={"x": x}).status_code

    stopped = workers(fire, "deadly")
    before = restarts(fire, "deadly")
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(hurry, range(16)))  # some at each worker, from each API process
        assert 504 in answers
        assert set(answers) <= {200, 504}  # who came late found another worker
    until(lambda: not set(stopped) & set(fire.pids("worker")))
    assert post(f"{fire.base_url}/take", json={"x": 3}).json()["y"] == 6
    assert restarts(fire, "deadly") == before + 2
    assert "is stuck" in fire.log()


CANCELS = """
import asyncio
import os

import tiffin


class Plus:
    @tiffin.batch(max_size=8)
    def one(self, x: list[int]) -> list[int]:
        return [value + 1 for value in x]


@tiffin.service
class Cancels:
    plus = tiffin.runner(Plus, workers=2)

    @tiffin.api
    async def score(self, x: int) -> dict[str, int]:
        return {"y": await self.plus.one.one(x), "pid": os.getpid()}

    @tiffin.api
    async def cancel(self) -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    @tiffin.on_stop
    async def end(self) -> None:
        await self.cancel()
"""


def test_a_service_that_cancels_every_task_cancels_none_of_the_servers(tmp_path: Path) -> None:
    crowd.write(tmp_path, CANCELS)
    with Server(tmp_path, "--no-access-log") as server:
        before = post(f"{server.base_url}/score", json={"x": 1}).json()
        pids = sorted(server.pids("server") + server.pids("worker"))
        for _ in range(5):
            post(f"{server.base_url}/cancel", json={})
            assert post(f"{server.base_url}/score", json={"x": 1}).json() == before
        [worker, _] = server.pids("worker")
        os.kill(worker, signal.SIGKILL)  # the next one is still connected to
        until(lambda: len(server.pids("worker")) == 2 and worker not in server.pids("worker"))
        until(lambda: httpx.get(f"{server.base_url}/readyz").status_code == 200)
        assert post(f"{server.base_url}/score", json={"x": 1}).json() == before
        assert set(pids) - {worker} <= set(server.pids("server") + server.pids("worker"))
        assert server.stop() == 0
