"""Addresses that names have, which change."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tiffin.runtime.roles import directory
from tiffin.runtime.roles.dial import Address
from tiffin.runtime.roles.directory import MISSES, Directory, resolve
from tiffin.runtime.roles.places import Place

ONE, TWO = (Address(socket.AF_INET, ip, 7000, "forest") for ip in ("10.0.0.1", "10.0.0.2"))


class Names:
    """Answers what it is told to; an exception is raised."""

    def __init__(self, *answers: list[Address] | OSError) -> None:
        self.answers = list(answers)
        self.seen: list[set[Address]] = []
        self.directory = Directory([Place("forest", 7000)], self.seen.append, self.resolve)

    async def resolve(self, _place: Place) -> list[Address]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    async def look(self, times: int) -> list[set[Address]]:
        for _ in range(times):
            await self.directory.look()
        return self.seen[-times:]


def test_new_ones_at_once_and_missing_ones_after_three_answers() -> None:
    names = Names([ONE], [ONE, TWO], [TWO], [TWO], [TWO])
    assert MISSES == 3
    assert asyncio.run(names.look(5)) == [{ONE}, {ONE, TWO}, {ONE, TWO}, {ONE, TWO}, {TWO}]


def test_one_that_is_left_out_now_and_then_stays() -> None:
    names = Names([ONE, TWO], [ONE], [ONE], [TWO], [ONE], [ONE], [TWO])
    assert asyncio.run(names.look(7)) == [{ONE, TWO}] * 7


def test_a_name_that_fails_changes_nothing_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    names = Names([ONE], *[socket.gaierror(-2, "Name or service not known")] * 5)
    assert asyncio.run(names.look(6)) == [{ONE}] * 6
    assert caplog.messages == ["forest has no address: Name or service not known"]


def test_it_asks_at_intervals_and_soon_when_somebody_is_in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "LEAST_PAUSE_S", 0.01)
    names = Names([ONE])

    async def scene() -> None:
        async def seen(times: int) -> None:
            while len(names.seen) < times:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

        monkeypatch.setattr(directory, "INTERVAL_S", 0.02)
        following = asyncio.create_task(names.directory.follow())
        await asyncio.wait_for(seen(3), 120)
        following.cancel()
        monkeypatch.setattr(directory, "INTERVAL_S", 3600.0)
        following = asyncio.create_task(names.directory.follow())
        await asyncio.wait_for(seen(len(names.seen) + 1), 120)
        for _ in range(3):
            names.directory.hurry()
            await asyncio.wait_for(seen(len(names.seen) + 1), 120)
        following.cancel()

    asyncio.run(scene())


def test_real_names_and_addresses() -> None:
    async def asked(host: str) -> set[str]:
        return {str(address) for address in await resolve(Place(host, 7000))}

    assert "127.0.0.1:7000" in asyncio.run(asked("localhost"))
    assert asyncio.run(asked("127.0.0.2")) == {"127.0.0.2:7000"}
    if socket.has_ipv6:
        assert asyncio.run(asked("::1")) == {"[::1]:7000"}
