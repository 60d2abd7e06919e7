"""Callers that call without a pause while something happens to the server."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

RIGHT = "right"


class Callers:
    """Threads that call until they are told to stop, each checking its own answers."""

    def __init__(
        self, url: str, call: Callable[[int], tuple[Any, Any]], *, number: int = 8, limit_s: float = 120.0
    ) -> None:
        """
        Args:
            url: of the route.
            call: from the number of a call, no two alike, to its JSON and the answer that is right.
            number: of threads.
            limit_s: longest that an answer, or `more`, may take.
        """
        self.answers: Counter[Any] = Counter()
        """`RIGHT`, or what came in its place: status and text, or the name of an error."""
        self._url = url
        self._make = call
        self._limit_s = limit_s
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(first, number)) for first in range(number)]

    def __enter__(self) -> Callers:  # noqa: PYI034 - Self came with 3.11
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, first: int, step: int) -> None:
        with httpx.Client(timeout=self._limit_s) as client:
            at = first
            while not self._stop.is_set():
                body, expected = self._make(at)
                self.answers[_outcome(client, self._url, body, expected)] += 1
                at += step

    def more(self, number: int = 50) -> None:
        """Until so many more are answered, and answered right."""
        end, target = time.monotonic() + self._limit_s, self.answers[RIGHT] + number
        while self.answers[RIGHT] < target:
            assert time.monotonic() < end, self.answers
            time.sleep(0.02)


def _outcome(client: httpx.Client, url: str, body: Any, expected: Any) -> Any:
    try:
        answer = client.post(url, json=body)
    except httpx.HTTPError as error:
        return type(error).__name__
    right = answer.status_code == httpx.codes.OK and answer.json() == expected
    return RIGHT if right else (answer.status_code, answer.text)
