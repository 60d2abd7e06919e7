"""The supervisor with real processes that only speak the control protocol."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tiffin.errors import ConfigError, ServerError, TiffinError, UsageError
from tiffin.runtime.supervisor import house, pulse, slot
from tiffin.runtime.supervisor.control import Target
from tiffin.runtime.supervisor.options import Event, ServeOptions
from tiffin.runtime.supervisor.run_folder import RunFolder
from tiffin.runtime.supervisor.sockets import listen
from tiffin.runtime.supervisor.subject import Subject
from tiffin.runtime.supervisor.supervisor import Supervisor

SERVICE = """
import tiffin


@tiffin.service
class Fake:
    pass
"""
ALONE = """
import asyncio, sys, time
from tiffin.runtime.supervisor import house
house.SERVER_MODULE = house.WORKER_MODULE = "fake_children"
from tiffin.runtime.supervisor.control import Target
from tiffin.runtime.supervisor.options import ServeOptions
from tiffin.runtime.supervisor.run_folder import RunFolder
from tiffin.runtime.supervisor.sockets import listen
from tiffin.runtime.supervisor.subject import Subject
from tiffin.runtime.supervisor.supervisor import Supervisor
def told(event):
    if event.kind == "ready":
        print(*(slot.child.pid for slot in one._succession.current.register.slots()), flush=True)
from pathlib import Path
subject = Subject(".", Path("."), Target(source=".", service="m:C"), "", None)
one = Supervisor(subject, options=ServeOptions(on_event=told), started=0.0)
asyncio.run(one.run(listen("127.0.0.1", 0), RunFolder(Path(sys.argv[1]))))
"""
"""A supervisor in a process of its own, which prints the numbers of its children."""


class Server:
    """One supervisor in this process and what it tells."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.source.mkdir()
        self.orders = folder / "orders.json"
        self.events: list[Event] = []
        self.new_event = asyncio.Event()
        self.supervisor: Supervisor

    def order(self, **orders: Any) -> None:
        """As `fake_children` reads them; `worker_forest-0` is written `worker forest-0` there."""
        self.orders.write_text(
            json.dumps({key.replace("worker_", "worker "): value for key, value in orders.items()})
        )

    def run(
        self,
        play: Callable[[], Coroutine[Any, Any, None]] | None = None,
        first: str = "ready",
        **options: Any,
    ) -> int:
        """Serves, plays after the event `first`, and gives the exit code; without a play: until it ends."""

        def told(event: Event) -> None:
            self.events.append(event)
            self.new_event.set()

        async def whole() -> int:
            with RunFolder(self.orders.parent) as self.run_folder:
                self.sockets = listen("127.0.0.1", 0)
                self.supervisor = Supervisor(
                    Subject(
                        text="source",
                        folder=self.source.parent,
                        target=Target(source=str(self.source), service="m:C"),
                        title="fake",
                        spec=None,
                    ),
                    options=ServeOptions(on_event=told, **{"drain_s": 5.0, **options}),
                    started=time.monotonic(),
                )
                serving = asyncio.ensure_future(self.supervisor.run(self.sockets, self.run_folder))
                try:
                    if play is not None:
                        await self.event(first)
                        await play()
                    return await asyncio.wait_for(serving, 60)
                finally:
                    serving.cancel()
                    await asyncio.wait({serving})
                    for opened in self.sockets:
                        opened.close()

        return asyncio.run(whole())

    async def event(self, kind: str, nth: int = 1) -> Event:
        async def wait() -> Event:
            while True:
                found = [event for event in self.events if event.kind == kind]
                if len(found) >= nth:
                    return found[nth - 1]
                self.new_event.clear()
                await self.new_event.wait()

        return await asyncio.wait_for(wait(), 60)

    async def ask(self) -> tuple[int, int]:
        """Connects once: generation and process of the API that answers."""
        reader, writer = await asyncio.open_connection(*self.sockets[0].getsockname())
        answer = (await reader.read()).split()
        writer.close()
        return int(answer[0]), int(answer[1])

    def pids(self) -> list[int]:
        slots = self.supervisor._succession.current.register.slots()
        return [one.child.pid for one in slots if one.child is not None and one.child.alive]

    def worker(self, name: str) -> Any:
        return next(
            one for one in self.supervisor._succession.current.register.all_workers() if one.name == name
        )


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def until(condition: Callable[[], bool], limit_s: float = 60) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it never became true"
        await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server(tmp_path)
    monkeypatch.setattr(house, "SERVER_MODULE", "fake_children")
    monkeypatch.setattr(house, "WORKER_MODULE", "fake_children")
    monkeypatch.setenv("FAKE_CHILDREN", str(made.orders))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "support"))
    return made


def test_ready_drain_and_nobody_left(server: Server) -> None:
    server.order(runners={"forest": 2, "net": 1}, processes=2)
    pids: list[int] = []

    async def play() -> None:
        pids.extend(server.pids())
        assert len(pids) == 5
        ready = await server.event("ready")
        assert ready.fields["processes"] == 2
        assert {name: numbers["workers"] for name, numbers in ready.fields["runners"].items()} == {
            "forest": 2,
            "net": 1,
        }
        assert ready.fields["url"] == f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await server.ask()
        stop()

    assert server.run(play) == 0
    assert [event.kind for event in server.events] == ["listening", "ready", "draining", "stopped"]
    assert not any(alive(pid) for pid in pids)
    assert not server.run_folder.path.exists()


@pytest.mark.parametrize(
    ("orders", "kind", "text"),
    [
        ({"api": "usage two apis on one route"}, UsageError, "two apis on one route"),
        ({"api": "fail no database"}, ServerError, "no database"),
        ({"api": "exit 7"}, ServerError, "api-0 exited with code 7"),
        ({"worker": "fail CUDA is missing"}, ServerError, "CUDA is missing"),
        ({"worker_forest-1": "exit 9"}, ServerError, "forest-1 exited with code 9"),
    ],
)
def test_a_failing_first_start_ends_it(
    server: Server, orders: dict[str, str], kind: type[TiffinError], text: str
) -> None:
    server.order(runners={"forest": 2}, **orders)
    with pytest.raises(kind, match=text):
        server.run()
    assert server.pids() == []


def test_what_was_ready_once_and_is_killed_in_the_first_start_is_replaced(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    start: dict[str, Any] = {"runners": {"forest": 1}, "processes": 2, "api api-1": "hang"}
    server.order(**start)

    async def play() -> None:
        api = server.supervisor._succession.current.apis[0]
        await until(lambda: api.up)
        server.order(**start, **{"api api-0": "exit 7"})
        os.kill(api.child.pid, signal.SIGKILL)
        await until(lambda: "api-0 failed to start: exited with code 7" in caplog.text)
        server.order(**start)
        await until(lambda: api.up)
        stop()

    assert server.run(play, first="listening") == 0


def test_an_override_of_no_runner_ends_it(server: Server) -> None:
    server.order(runners={"forest": 2})
    with pytest.raises(ConfigError, match="it has: forest"):
        server.run(workers={"tree": 1})


def test_too_few_gpus(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    server.order(runners={"forest": 2}, gpus=1)
    with pytest.raises(ServerError, match="need 2 GPUs"):
        server.run()


def test_a_worker_that_hangs_at_the_start(server: Server) -> None:
    server.order(runners={"forest": 1}, worker="hang", start_timeout_s=0.5)
    with pytest.raises(ServerError, match=r"forest-0 was not ready within 0\.5 s"):
        server.run()


def test_a_killed_worker_is_replaced_at_once_each_time(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.order(runners={"forest": 1})

    async def play() -> None:
        for _ in range(3):
            worker = server.worker("forest-0")
            pid, old_id = worker.child.pid, worker.id
            await asyncio.sleep(slot.SETTLED_S)
            os.kill(pid, signal.SIGKILL)
            await until(lambda worker=worker, pid=pid: worker.up and worker.child.pid != pid)  # type: ignore[misc]
            assert worker.id != old_id
        stop()

    with caplog.at_level(logging.INFO, "tiffin.supervisor"):
        assert server.run(play) == 0
    assert [record.getMessage() for record in caplog.records] == [
        "forest-0 ended by SIGKILL; starting another"
    ] * 3


def test_back_off_grows_while_starts_fail_and_ends_when_one_works(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.order(runners={"forest": 1})

    async def play() -> None:
        worker = server.worker("forest-0")
        server.order(runners={"forest": 1}, worker="fail disk is full")
        os.kill(worker.child.pid, signal.SIGKILL)
        await until(lambda: caplog.text.count("disk is full") == 3)
        server.order(runners={"forest": 1})
        await until(lambda: worker.up)
        stop()

    assert server.run(play) == 0
    failures = [record.created for record in caplog.records if "disk is full" in record.getMessage()]
    assert failures[1] - failures[0] > 0.1
    assert failures[2] - failures[1] > 0.2


def test_back_off_by_numbers() -> None:
    back_off = slot.BackOff()
    assert [back_off.after(None) for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert back_off.after(slot.SETTLED_S) == 0.0
    assert back_off.after(0.1) == 0.1
    # One that was ready, even for a moment, can start: callers do not wait long for the next.
    assert [back_off.after(0.1) for _ in range(5)] == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert [back_off.after(None) for _ in range(3)] == [2.0, 4.0, 8.0]
    assert back_off.after(0.1) == 1.0


def test_a_dead_api_process_is_replaced_and_no_connection_refused(server: Server) -> None:
    server.order(runners={"forest": 1})

    async def play() -> None:
        worker = server.worker("forest-0").child.pid
        _, first = await server.ask()
        os.kill(first, signal.SIGKILL)
        answers = await asyncio.gather(*(server.ask() for _ in range(20)), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, ConnectionRefusedError)]
        assert refused == []
        _, second = await server.ask()
        assert second != first
        assert server.worker("forest-0").child.pid == worker
        stop()

    assert server.run(play) == 0


def test_a_stuck_worker_is_ended_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.order(runners={"forest": 2}, api="stuck forest-1")

    async def play() -> None:
        await until(lambda: "by the supervisor: stuck" in caplog.text)
        await until(
            lambda: all(one.up for one in server.supervisor._succession.current.register.all_workers())
        )
        stop()

    assert server.run(play) == 0
    assert caplog.text.count("is stuck: told to say so") == 1
    assert "forest-1 ended by SIGKILL by the supervisor: stuck; starting another" in caplog.text
    assert "forest-0" not in caplog.text


def test_an_api_process_whose_loop_stands_still_is_replaced(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pulse, "PING_S", 0.2)
    server.order(api="silent")

    async def play() -> None:
        (api,) = server.supervisor._succession.current.apis
        first = api.child.pid
        server.order()
        await until(lambda: api.up and api.child.pid != first)
        stop()

    assert server.run(play, timeout_s=0.1) == 0
    assert "api-0 is stopped, or the service blocks its event loop: not a word for 1.2 s" in caplog.text
    assert "api-0 ended by SIGKILL by the supervisor: stuck; starting another" in caplog.text


def test_a_process_that_does_not_drain_is_ended_at_the_limit(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tiffin.runtime.supervisor.generation.DRAIN_MARGIN_S", 0.2)
    monkeypatch.setattr("tiffin.runtime.supervisor.generation.WORKER_DRAIN_S", 0.2)
    server.order(runners={"forest": 1}, api="stubborn", worker="stubborn")
    pids: list[int] = []

    async def play() -> None:
        pids.extend(server.pids())
        stop()

    assert server.run(play, drain_s=0.2) == 0
    assert [record.getMessage() for record in caplog.records] == [
        "api-0 has not ended within 0.4 s and is killed",
        "forest-0 has not ended within 0.2 s and is killed",
    ]
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)


def test_workers_outlive_the_api_processes(server: Server) -> None:
    server.order(runners={"forest": 1}, api="stubborn")

    async def play() -> None:
        worker = server.worker("forest-0")
        pid = worker.child.pid
        stop()
        await server.event("draining")
        os.kill(pid, signal.SIGKILL)  # requests in hand still need one
        await until(lambda: worker.up and worker.child.pid != pid)
        stop()

    assert server.run(play) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once(server: Server, number: int) -> None:
    server.order(runners={"forest": 1}, api="stubborn", worker="stubborn")
    pids: list[int] = []

    async def play() -> None:
        pids.extend(server.pids())
        os.kill(os.getpid(), number)
        await server.event("draining")
        os.kill(os.getpid(), number)

    started = time.monotonic()
    assert server.run(play, drain_s=600) == 128 + number
    assert time.monotonic() - started < 300
    assert not any(alive(pid) for pid in pids)


def test_a_signal_during_the_start(server: Server) -> None:
    server.order(runners={"forest": 1}, worker="hang")

    async def play() -> None:
        await until(lambda: len(server.pids()) == 2)
        stop()

    assert server.run(play, first="listening") == 0
    assert server.pids() == []
    assert [event.kind for event in server.events] == ["listening", "stopped"]


def test_a_reload_swaps_when_the_new_one_is_ready(server: Server) -> None:
    server.order(runners={"forest": 2})

    async def play() -> None:
        old = server.pids()
        assert (await server.ask())[0] == 1
        server.order(runners={"forest": 1, "net": 1}, processes=2)
        (server.source / "service.py").write_text("x = 1")
        reloaded = await server.event("reloaded")
        assert set(reloaded.fields["runners"]) == {"forest", "net"}
        await until(lambda: not any(alive(pid) for pid in old))
        assert (await server.ask())[0] == 2
        assert len(server.pids()) == 4
        stop()

    assert server.run(play, reload=True) == 0
    assert "reload failed" not in [event.kind for event in server.events]


def test_a_broken_edit_keeps_the_old_one(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.order(runners={"forest": 1})

    async def play() -> None:
        old = server.pids()
        server.order(api="usage service.py:3: no type hint")
        (server.source / "service.py").write_text("x = 1")
        failed = await server.event("reload failed")
        assert failed.fields["error"] == "service.py:3: no type hint"
        assert server.pids() == old
        assert (await server.ask())[0] == 1
        server.order(runners={"forest": 1})
        (server.source / "service.py").write_text("x = 2")
        await server.event("reloaded")
        assert (await server.ask())[0] > 2
        stop()

    assert server.run(play, reload=True) == 0
    assert "service.py:3: no type hint" in caplog.text


def test_an_edit_during_a_reload_starts_it_anew(server: Server) -> None:
    server.order(runners={"forest": 1})

    async def play() -> None:
        server.order(runners={"forest": 1}, worker="hang")
        (server.source / "service.py").write_text("x = 1")
        await server.event("reloading")
        server.order(runners={"forest": 1})
        (server.source / "service.py").write_text("x = 2")
        await server.event("reloading", nth=2)
        await server.event("reloaded")
        assert len(server.pids()) == 2
        stop()

    assert server.run(play, reload=True) == 0


def test_what_is_not_source_starts_nothing(server: Server) -> None:
    server.order(runners={"forest": 1})

    async def play() -> None:
        for folder in (".git", "__pycache__", ".venv/lib"):
            (server.source / folder).mkdir(parents=True)
            (server.source / folder / "x.py").write_text("x = 1")
        (server.source / "x.pyc").write_text("x")
        (server.source / "service.py").write_text("x = 1")
        reloading = await server.event("reloading")
        assert reloading.fields["files"] == ["service.py"]
        stop()

    assert server.run(play, reload=True) == 0


def test_sighup_swaps_and_those_during_a_reload_are_one_more(server: Server) -> None:
    server.order(runners={"forest": 2})

    async def play() -> None:
        (server.source / "service.py").write_text(SERVICE)
        before = server.pids()
        os.kill(os.getpid(), signal.SIGHUP)
        await server.event("reloading")
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
        await server.event("reloaded", nth=2)
        assert (await server.ask())[0] == 3
        assert not set(before) & set(server.pids())
        await until(lambda: not any(alive(pid) for pid in before))
        stop()

    assert server.run(play) == 0
    assert [event.kind for event in server.events].count("reloading") == 2
    assert server.events[-1].kind == "stopped"


def test_one_that_fails_leaves_the_metrics_of_the_one_that_serves(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    from tiffin.runtime.metrics.exposition import render

    server.order(runners={"forest": 2})

    async def play() -> None:
        (server.source / "service.py").write_text(SERVICE)
        pids = server.pids()
        server.order(runners={"forest": 2}, **{"worker_forest-1": "exit 3"})
        os.kill(os.getpid(), signal.SIGHUP)
        failed = await server.event("reload failed")
        assert failed.fields["error"].startswith("service:Fake does not start, fake keeps serving: forest-1")
        assert server.pids() == pids
        assert (await server.ask())[0] == 1
        page = render(server.run_folder.path)[0].decode()
        for name in ("forest-0", "forest-1"):
            assert f'tiffin_worker_up{{runner="forest",service="fake",worker="{name}"}} 1.0' in page
        stop()

    assert server.run(play) == 0
    assert "keeps serving" in caplog.text


def test_a_stop_during_a_reload_gives_it_up(server: Server) -> None:
    server.order(runners={"forest": 1})
    others = _children()  # of tests before this one: multiprocessing keeps a process of its own
    children: list[int] = []

    async def play() -> None:
        (server.source / "service.py").write_text(SERVICE)
        server.order(runners={"forest": 1}, worker="hang")
        os.kill(os.getpid(), signal.SIGHUP)
        await server.event("reloading")
        await until(lambda: len(_children()) > len(others) + 4)
        children.extend(set(_children()) - set(others))
        stop()

    assert server.run(play) == 0
    assert len(children) == 5, "the guard, and two of each generation"
    assert not any(alive(pid) for pid in children)
    assert server.events[-1].kind == "stopped"


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_a_closed_terminal_stops(tmp_path: Path, server: Server) -> None:
    """In a session of its own with a terminal, which is then closed: that sends SIGHUP too."""
    import pty
    import subprocess
    import sys

    server.order(runners={"forest": 1})
    master, slave = pty.openpty()
    code = "import fcntl, termios; fcntl.ioctl(int(sys.argv[2]), termios.TIOCSCTTY, 0)\n"
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; " + code + ALONE, str(tmp_path), str(slave)],
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[slave],
        start_new_session=True,
    ) as process:
        os.close(slave)
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        os.close(master)
        assert process.wait(60) == 0
    assert len(pids) == 2
    assert not any(_running(pid) for pid in pids)


def test_restarts_and_living_workers_are_counted(server: Server) -> None:
    from tiffin.runtime.metrics.exposition import render

    server.order(runners={"forest": 2})

    async def play() -> None:
        worker = server.worker("forest-1")
        os.kill(worker.child.pid, signal.SIGKILL)
        await until(lambda: not worker.up)
        page = render(server.run_folder.path)[0].decode()
        assert 'tiffin_worker_up{runner="forest",service="fake",worker="forest-1"} 0.0' in page
        await until(lambda: worker.up)
        page = render(server.run_folder.path)[0].decode()
        assert 'tiffin_worker_up{runner="forest",service="fake",worker="forest-1"} 1.0' in page
        assert 'tiffin_worker_restarts_total{reason="SIGKILL",runner="forest",service="fake"} 1.0' in page
        stop()

    assert server.run(play) == 0


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path, server: Server) -> None:
    """In a process of its own, since it must die."""
    import subprocess
    import sys

    server.order(runners={"forest": 1})
    with subprocess.Popen(
        [sys.executable, "-c", ALONE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 2
        process.kill()
    end = time.monotonic() + 60
    while any(_running(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.01)


def _running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
