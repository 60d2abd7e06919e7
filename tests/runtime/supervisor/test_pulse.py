"""API processes that do not answer, and those that do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tiffin.runtime.supervisor import pulse
from tiffin.runtime.supervisor.control import Ping
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
