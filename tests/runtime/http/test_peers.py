"""API processes ask and tell each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tiffin.runtime.http import peers
from tiffin.runtime.http.peers import Peers


def with_processes(folder: Path, count: int, test: Callable[[list[Peers]], Awaitable[None]]) -> None:
    """Runs a test with so many processes of one server."""

    async def run() -> None:
        made = []
        for number in range(count):
            told = f"I am api-{number}".encode()
            made.append(Peers(folder, 1, f"api-{number}", lambda told=told: told))  # type: ignore[misc]
            await made[-1].open()
        await test(made)
        for each in made:
            each.close()

    asyncio.run(run())


def test_everybody_else_answers(tmp_path: Path) -> None:
    async def test(made: list[Peers]) -> None:
        assert await made[0].ask() == ([b"I am api-1", b"I am api-2"], [])

    with_processes(tmp_path, 3, test)


def test_a_word_is_heeded_by_everybody_else_before_they_answer(tmp_path: Path) -> None:
    heeded: list[str] = []

    async def test(made: list[Peers]) -> None:
        for number, each in enumerate(made):
            each.on_word["wake"] = lambda number=number: heeded.append(f"api-{number}")  # type: ignore[misc]
        told, silent = await made[0].ask("wake")
        assert (len(told), silent) == (2, [])
        assert sorted(heeded) == ["api-1", "api-2"]
        await made[0].ask("a word that nobody knows")
        await made[0].ask()
        assert len(heeded) == 2

    with_processes(tmp_path, 3, test)


def test_who_says_nothing_and_stays_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PATIENCE_S", 1.0)

    async def test(made: list[Peers]) -> None:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "a1-1.sock")
        assert await made[0].ask() == ([b"I am api-1"], []), "nobody waits for the one who says nothing"
        assert await reader.read() == b"", "cut off after a while"
        writer.close()
        made[1].close()
        assert await made[0].ask() == ([], [])

    with_processes(tmp_path, 2, test)
