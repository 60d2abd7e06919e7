"""`/debug/batching`, and what it asks of the other API processes."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import explanations
import fake_links
import httpx
import pytest
import virtual_time
from http_service import server_state

from tiffin.runtime.http import peers
from tiffin.runtime.http.app import create_app
from tiffin.runtime.http.pages import asset
from tiffin.runtime.http.serving import Serving
from tiffin.runtime.http.state import ServerState
from tiffin.runtime.metrics import Metrics

BATCHING = "/debug/batching"
Ask = Callable[..., Awaitable[httpx.Response]]


def state_of(folder: Path, process: str, rows: int = 15_000, generation: int = 1) -> ServerState:
    state = server_state(folder)
    told = explanations.runner(predict=explanations.method(rows=rows), hello=explanations.quiet(batch=False))
    return replace(
        state,
        dispatchers={"forest": explanations.Dispatcher(told)},  # type: ignore[dict-item]
        metrics=Metrics.open(folder, process, "echo"),
        generation=generation,
    )


def served(play: Callable[[Ask], Awaitable[None]], *states: ServerState) -> None:
    """Plays with the first process, while the others are there to be asked."""

    async def main() -> None:
        for state in states:
            await Serving.of(state).open()
        transport = httpx.ASGITransport(create_app(states[0]))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await play(client.get)
        for state in states:
            Serving.of(state).close()

    asyncio.run(main())


def test_all_processes_are_in_the_answer_of_each(tmp_path: Path) -> None:
    states = [state_of(tmp_path, f"api-{number}", rows=number) for number in (10, 0, 9)]
    states.append(state_of(tmp_path, "api-0", generation=2))

    async def play(get: Ask) -> None:
        answer = await get(BATCHING)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "accept")
        told = answer.json()
        assert (told["answered_by"], told["silent"], told["service"]) == ("api-10", [], "echo")
        assert [(each["generation"], each["process"]) for each in told["processes"]] == [
            (1, "api-0"),
            (1, "api-9"),
            (1, "api-10"),
            (2, "api-0"),
        ]
        assert [each["runners"]["forest"]["methods"]["predict"]["rows"] for each in told["processes"]] == [
            0,
            9,
            10,
            15_000,
        ]
        one = (await get(f"{BATCHING}?process=api-9")).json()
        assert [each["process"] for each in one["processes"]] == ["api-9"]
        assert one["answered_by"] == "api-10"
        wrong = await get(f"{BATCHING}?process=api-7")
        assert wrong.status_code == 422
        assert wrong.json()["detail"] == "no API process 'api-7'; there are api-0, api-10, api-9"

    served(play, *states)
    assert list(tmp_path.glob("*.sock")) == []


def test_what_is_shown_is_what_dispatchers_tell() -> None:
    """The page and the tests with made-up explanations must not outlive a renamed key."""

    async def main() -> dict[str, Any]:
        bench = fake_links.Bench()
        call = bench.call(1.0)
        await fake_links.settle()
        running = bench.dispatcher.explain()["running"]
        bench.links[0].answer()
        await call
        return {**bench.dispatcher.explain(), "running": running}

    told, made_up = virtual_time.run(main), explanations.runner(double=explanations.method())
    assert told.keys() == made_up.keys()
    method, fake = told["methods"]["double"], made_up["methods"]["double"]
    assert method.keys() == fake.keys()
    assert method["decisions"].keys() == fake["decisions"].keys()
    assert method["last_batches"][0].keys() == fake["last_batches"][0].keys()
    script = asset("/pages/batching.js")[0].decode()
    known = {
        *method,
        *method["last_batches"][0],
        *told["running"][0],
        *explanations.process(),
        "seconds",
        "samples",
    }
    for name in re.findall(r"\b(?:method|each|process)\.(\w+)", script):
        assert name in known | {"dataset", "scrollTop", "open", "generation", "method"}, name


def test_a_browser_gets_the_page(tmp_path: Path) -> None:
    async def play(get: Ask) -> None:
        page = await get(BATCHING, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert (page.headers["vary"], "script-src 'self'" in page.headers["content-security-policy"]) == (
            "accept",
            True,
        )
        assert '<a href="../debug/batching" aria-current="page">Batching</a>' in page.text
        assert 'src="../pages/batching.js"' in page.text
        assert "$" not in page.text
        script = await get(BATCHING, headers={"accept": "application/json, text/html;q=0.5"})
        assert script.headers["content-type"] == "application/json"
        assert (await get(BATCHING, headers={"accept": "text/csv"})).status_code == 406

    served(play, state_of(tmp_path, "api-0"))


def test_who_says_nothing_is_named_and_who_is_gone_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "PATIENCE_S", 0.05)
    with (
        socket.socket(socket.AF_UNIX) as hung,
        socket.socket(socket.AF_UNIX) as gone,
        socket.socket(socket.AF_UNIX) as worker,
    ):
        hung.bind(str(tmp_path / "a1-3.sock"))
        hung.listen()
        gone.bind(str(tmp_path / "a1-4.sock"))
        worker.bind(str(tmp_path / "17.sock"))
        worker.listen()

        async def play(get: Ask) -> None:
            told = (await get(BATCHING)).json()
            assert told["silent"] == ["api-3"]
            assert [each["process"] for each in told["processes"]] == ["api-0"]

        served(play, state_of(tmp_path, "api-0"))


def test_the_place_of_a_killed_process_is_taken(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "a1-1.sock"))

    async def play(get: Ask) -> None:
        told = (await get(BATCHING)).json()
        assert [each["process"] for each in told["processes"]] == ["api-0", "api-1"]

    served(play, state_of(tmp_path, "api-0"), state_of(tmp_path, "api-1"))


def test_who_ends_as_it_speaks_is_left_out(tmp_path: Path) -> None:
    async def play(get: Ask) -> None:
        async def end(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b'{"process":"api-1","gener')
            writer.close()

        async with await asyncio.start_unix_server(end, tmp_path / "a1-1.sock"):
            told = (await get(BATCHING)).json()
        assert (told["silent"], [each["process"] for each in told["processes"]]) == ([], ["api-0"])

    served(play, state_of(tmp_path, "api-0"))


def test_a_process_that_cannot_be_asked_serves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = state_of(tmp_path, "api-0")
    state.run_folder = tmp_path / ("long" * 40)

    async def play(get: Ask) -> None:
        assert (await get(BATCHING)).status_code == 200

    with caplog.at_level(logging.WARNING, "tiffin.http"):
        served(play, state)
    assert "cannot ask this one about its batches" in caplog.text


def test_what_was_learned_is_a_metric_of_each_process(tmp_path: Path) -> None:
    states = [state_of(tmp_path, "api-0"), state_of(tmp_path, "api-1")]

    async def play(get: Ask) -> None:
        lines = (await get("/metrics")).text.splitlines()
        wanted: dict[str, Any] = {}
        for process in ("api-0", "api-1"):
            label = f'method="predict",process="{process}"'
            learned = f'tiffin_batch_learned_seconds{{{label},runner="forest",service="echo"'
            wanted |= {
                f'{learned},size="1",unit="rows"}}': 0.002,
                f'{learned},size="24",unit="rows"}}': 0.005,
                f'{learned},size="64",unit="rows"}}': 0.2,
                f'tiffin_batch_cap{{{label},runner="forest",service="echo",unit="rows"}}': 24.0,
                f'tiffin_batch_holds_total{{{label},reason="hold",runner="forest",service="echo"}}': 7.0,
                f'tiffin_batch_holds_total{{{label},reason="spread",runner="forest",service="echo"}}': 0.0,
            }
        prefixes = ("tiffin_batch_learned", "tiffin_batch_cap", "tiffin_batch_holds")
        found = dict(line.rsplit(" ", 1) for line in lines if line.startswith(prefixes))
        assert {name: float(value) for name, value in found.items()} == wanted

    served(play, *states)
