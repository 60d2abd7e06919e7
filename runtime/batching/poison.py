"""Requests that ended two workers: sent again, they are refused before they end a third.

Each is remembered by a digest of its method and arguments, for a time that doubles when it turns out guilty
again. A worker may have been ended by somebody else at the wrong moment, twice: so after that time the
request is tried once more, one more crash is then enough, and one answer to an equal request, also to one
that was already on its way, clears it at once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ...errors import WireError
from ..wire.values import pack
from . import failure

FIRST_SENTENCE_S = 60.0
LONGEST_SENTENCE_S = 3600.0
MAX_REMEMBERED = 256
"""Of one runner; the oldest verdicts make room."""


class Verdict(NamedTuple):
    """What one process found out of a request, for the others."""

    outline: bytes
    """Digest of method, structure and small values: cheap, and tells nearly all requests apart."""
    digest: bytes
    """Of the whole."""
    until: float
    """`time.monotonic()` of this machine; until then it is refused. 0: cleared."""
    sentence_s: float


class Poison:
    """What is known of one runner. False while nothing is: then requests cost nothing here.

    Args:
        runner: its name.
        on_verdict: told what this process found out.
    """

    def __init__(
        self,
        runner: str,
        on_verdict: Callable[[Verdict], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner = runner
        self._on_verdict = on_verdict
        self._clock = clock
        self.verdicts: dict[bytes, Verdict] = {}
        """By digest; empty while nothing is known."""
        self._outlines: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.verdicts)

    def check(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        """Crashes that a request is to start with.

        Raises:
            PoisonRequestError: it is known to end workers.
        """
        now = self._clock()
        oldest = next(iter(self.verdicts.values()), None)
        if oldest is not None and now > oldest.until + oldest.sentence_s:
            self.learn(oldest._replace(until=0.0))  # nobody asked for it in all that time
        known = self._known(method, args, kwargs)
        if known is None:
            return 0
        if now < known.until:
            raise failure.known_poison(self._runner, known.until - now)
        return 1

    def condemn(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """It ended two workers, or one more since it was tried again."""
        outline, digest = _digests(method, args, kwargs)
        before = self.verdicts.get(digest)
        sentence_s = min(before.sentence_s * 2, LONGEST_SENTENCE_S) if before else FIRST_SENTENCE_S
        if before is not None and self._clock() < before.until:
            return  # equal requests that ran at the same time are one finding
        self._find(Verdict(outline, digest, self._clock() + sentence_s, sentence_s))

    def clear(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """It was answered."""
        known = self._known(method, args, kwargs)
        if known is not None:
            self._find(known._replace(until=0.0))

    def learn(self, verdict: Verdict) -> None:
        """What another process found out."""
        self.verdicts.pop(verdict.digest, None)
        if verdict.until:
            self.verdicts[verdict.digest] = verdict
            while len(self.verdicts) > MAX_REMEMBERED:
                del self.verdicts[next(iter(self.verdicts))]
        self._outlines = frozenset(known.outline for known in self.verdicts.values())

    def _find(self, verdict: Verdict) -> None:
        self.learn(verdict)
        self._on_verdict(verdict)

    def _known(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Verdict | None:
        try:
            hasher, buffers = _outline(method, args, kwargs)
        except WireError:
            return None  # it cannot be sent, and sending it says why
        if hasher.digest() not in self._outlines:
            return None
        return self.verdicts.get(_whole(hasher, buffers))


def _digests(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bytes, bytes]:
    hasher, buffers = _outline(method, args, kwargs)
    return hasher.digest(), _whole(hasher, buffers)


def _outline(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[Any]]:
    packed, buffers = pack((args, dict(sorted(kwargs.items()))))
    hasher = hashlib.blake2b(packed, digest_size=16)
    sizes = [memoryview(buffer).nbytes for buffer in buffers]
    hasher.update(f"\0{method} {sizes}".encode())
    return hasher, buffers


def _whole(hasher: Any, buffers: list[Any]) -> bytes:
    for buffer in buffers:
        hasher.update(memoryview(buffer).cast("B"))
    digest: bytes = hasher.digest()
    return digest
