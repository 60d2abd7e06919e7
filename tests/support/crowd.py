"""Callers that never stop asking a real server, check every answer, and count what becomes of their requests.

`write(folder)` makes the service that they ask.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ANSWER_LIMIT_S = 30.0

SOURCE = '''
import os
import time

import tiffin

VERSION = 1


class Affine:
    @tiffin.batch(max_size=32)
    def apply(self, x: list[int]) -> list[int]:
        time.sleep(0.005)  # long enough that a kill meets a batch
        return [3 * value + 1 for value in x]


@tiffin.service
class Crowd:
    """Answers with who answers."""

    affine = tiffin.runner(Affine, workers=2)

    @tiffin.api
    async def score(self, x: int) -> dict[str, int]:
        return {"y": await self.affine.apply.one(x), "pid": os.getpid(), "version": VERSION}
'''


def write(folder: Path, source: str = SOURCE) -> Path:
    """`<folder>/service.py`."""
    file = folder / "service.py"
    file.write_text(source)
    return file


@dataclass(frozen=True)
class Cut:
    """A request that was sent and got no answer: its connection ended."""

    at: float
    """`time.monotonic()`"""
    pid: int
    """The API process at the other end; 0 when it had not answered anything yet."""


class Crowd:
    """Callers with one keep-alive connection each.

    Args:
        url: of the server.
        pause_s: longest that a caller waits between two requests; each time another.
        burst: requests that a caller sends in one go, before it reads the first answer.

    Attributes:
        counts: `right`, `wrong`, `cut`, `hung` (no answer within `ANSWER_LIMIT_S`), `status 503` …, `poison`,
            `not connected`; `left`: sent in one go with a request whose answer closed the connection in
            good order.
        cuts: every request that was cut off.
        versions: of the answers, in the order of their arrival, without repetition.
        pids: API processes that answered.
    """

    def __init__(
        self, url: str, callers: int = 64, *, pause_s: float = 0.0, burst: int = 1, seed: int = 0
    ) -> None:
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), int(parts.port or 0)
        self.size = callers
        self.counts: Counter[str] = Counter()
        self.cuts: list[Cut] = []
        self.versions: list[int] = []
        self.pids: set[int] = set()
        self.slowest_s = 0.0
        self._pause_s = pause_s
        self._burst = burst
        self._seed = seed

    async def ask_until(self, stop: asyncio.Event) -> None:
        """Every caller asks until then, and gets its last answer."""
        await asyncio.gather(*(self._caller(index, stop) for index in range(self.size)))

    async def more(self, right: int) -> None:
        """Until so many more answers were right."""
        target = self.counts["right"] + right
        while self.counts["right"] < target:  # noqa: ASYNC110 - what counts must not wait for who looks
            await asyncio.sleep(0.01)

    async def _caller(self, index: int, stop: asyncio.Event) -> None:
        chance = random.Random(f"{self._seed} {index}")
        while not stop.is_set():
            try:
                reader, writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                self.counts["not connected"] += 1
                await asyncio.sleep(0.05)
                continue
            try:
                await self._converse(reader, writer, chance, stop)
            finally:
                writer.close()

    async def _converse(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        chance: random.Random,
        stop: asyncio.Event,
    ) -> None:
        pid = 0
        while not stop.is_set():
            sent = [chance.randrange(2**48) for _ in range(self._burst)]
            began = time.monotonic()
            writer.write(b"".join(map(request, sent)))
            for place, x in enumerate(sent):
                try:
                    status, close, body = await asyncio.wait_for(answer(reader), ANSWER_LIMIT_S)
                except asyncio.TimeoutError:  # an OSError as well, from Python 3.11 on
                    self.counts["hung"] += self._burst - place
                    return
                except (OSError, EOFError):
                    self.counts["cut"] += self._burst - place
                    self.cuts.append(Cut(time.monotonic(), pid))
                    return
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                pid = self._judge(x, status, body) or pid
                if close:
                    if place + 1 < self._burst:
                        self.counts["left"] += self._burst - place - 1
                    return
            if self._pause_s:
                await asyncio.sleep(chance.random() * self._pause_s)

    def _judge(self, x: int, status: int, body: bytes) -> int:
        document = json.loads(body)
        if status != 200:
            poison = "ended two workers" in document.get("title", "")
            self.counts["poison" if poison else f"status {status}"] += 1
            return 0
        self.counts["right" if document["y"] == 3 * x + 1 else "wrong"] += 1
        self.pids.add(document["pid"])
        if not self.versions or self.versions[-1] != document["version"]:
            self.versions.append(document["version"])
        return int(document["pid"])


def request(x: int, route: str = "score") -> bytes:
    body = b'{"x": %d}' % x
    return (
        b"POST /%b HTTP/1.1\r\nhost: crowd\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
        % (route.encode(), len(body), body)
    )


async def answer(reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    """Status, whether the connection closes after it, and the body.

    Raises:
        EOFError: the connection ended before the answer did.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    return int(head.split(b" ", 2)[1]), b"\r\nconnection: close" in head, await reader.readexactly(length)
