"""API processes that do not answer, and those that do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tiffin.runtime.supervisor import pulse
from tiffin.runtime.supervisor.api import Api
from tiffin.runtime.supervisor.control import Drain, Ping
from tiffin.runtime.supervisor.process import Exit
from tiffin.runtime.supervisor.pulse import LEAST_SILENT, Pulse


class Child:
    """Answers the questions that it is told to."""

    def __init__(self, answers: list[bool], patience_s: float) -> None:
        self.answers = answers
        self.asked = 0
        self.pulse = Pulse(lambda: patience_s)

    def send(self, message: object) -> None:
        assert isinstance(message, Ping)
        if self.asked < len(self.answers) and self.answers[self.asked]:
            self.pulse.heard()
        self.asked += 1


@pytest.mark.parametrize(
    ("answers", "patience_s", "asked"),
    [
        ([], 0.0, LEAST_SILENT),
        ([True] * 50, 0.0, 50 + LEAST_SILENT),
        ([True, False, True, False], 0.0, 3 + LEAST_SILENT),  # one that was missed is forgotten
        ([False] * 6 + [True], 30.0, 7 + 7),  # of 5 s each; more than 30 s
    ],
)
def test_only_questions_in_a_row_count(
    answers: list[bool], patience_s: float, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_: float) -> None:
        pass

    monkeypatch.setattr(pulse.asyncio, "sleep", at_once)
    child: Any = Child(answers, patience_s)
    silent_s = asyncio.run(child.pulse.until_silent(child))
    assert child.asked == asked
    assert silent_s > patience_s


class Ending:
    """A child that ends when it is killed, or told to."""

    pid = 0

    def __init__(self) -> None:
        self.exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.killed: list[str] = []

    @property
    def alive(self) -> bool:
        return not self.exit.done()

    def send(self, message: object) -> None:
        assert isinstance(message, Drain)

    def kill(self, reason: str) -> None:
        if self.alive:
            self.killed.append(reason)
            self.exit.set_result(Exit(-9))


class Silent(Pulse):
    def __init__(self) -> None:
        self.silent = asyncio.Event()
        self.told = asyncio.Event()

    async def until_silent(self, child: object) -> float:
        await self.silent.wait()
        self.told.set()
        return 30.0


@pytest.mark.parametrize("drained", [False, True])
def test_a_drain_has_its_own_limit(drained: bool) -> None:
    async def play() -> list[str]:
        child: Any = Ending()
        silence = Silent()
        api = Api(0, launch=lambda: child, on_up=int, on_down=lambda *_: False, pulse=silence)
        await asyncio.sleep(0)
        api.ready(child)
        ending = asyncio.create_task(api.stop(Drain(limit_s=600), 600)) if drained else None
        await asyncio.sleep(0)
        silence.silent.set()
        await silence.told.wait()
        if ending is None:
            await child.exit
        else:
            await asyncio.sleep(0)
            child.exit.set_result(Exit(0))
            await ending
        await api.ended()
        return child.killed  # type: ignore[no-any-return]

    assert asyncio.run(play()) == ([] if drained else ["stuck"])
