"""Who may do what: the one place where tokens of callers are compared, whatever protocol they come in."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import re
import time
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from ...errors import ConfigError, ForbiddenError, UnauthorizedError
from ..file_changes import FileChanges
from .source import read_tokens
from .tokens import VARIABLE, Grant, Tokens, digest_of

if TYPE_CHECKING:
    from ..metrics.metrics import Metrics
    from ..supervisor.control import ServerOptions

logger = logging.getLogger("tiffin.auth")

LOOK_EVERY_S = 1.0
"""At the file of tokens: who takes a line out of it waits no longer than twice this."""
KNOWN = 1024
"""Headers that are remembered: those that were let in."""
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*) *")
_CHALLENGE = 'Bearer realm="tiffin"'


class Guard:
    """Compares what callers show with the tokens of the server.

    Args:
        file: of tokens, read again when it changes; empty: none.
        text: tokens, when there is no file.
        clock: Unix seconds.

    Attributes:
        on_change: called when a grant has ended or the tokens are others: what was worked out with
            `check` and kept must be forgotten.

    Raises:
        ConfigError: the tokens make no sense.
    """

    def __init__(
        self, file: str, text: str, metrics: Metrics, clock: Callable[[], float] = time.time
    ) -> None:
        self.on_change: list[Callable[[], None]] = []
        self._file = file
        self._text = text
        self._metrics = metrics
        self._clock = clock
        self._key = os.urandom(32)
        self._changes = FileChanges([file] if file else [])
        self._timer: asyncio.TimerHandle | None = None
        self._known: dict[bytes, Grant] = {}
        self._keep(read_tokens(file, text, VARIABLE))

    @classmethod
    def of(cls, options: ServerOptions, metrics: Metrics) -> Guard | None:
        """None when the server asks for no tokens."""
        if not options.auth_file and not options.auth_tokens:
            return None
        return cls(options.auth_file, options.auth_tokens, metrics)

    def check(self, authorization: bytes | None, scope: str) -> float:
        """Lets a caller in, or raises.

        Args:
            authorization: value of the header (in gRPC of the metadata) `authorization`; None: there is none.
            scope: that what is asked for needs, `predict`, `manage` or `metrics`.

        Returns:
            Unix seconds until which the grant holds; inf: for good. It may end sooner: see `on_change`.

        Raises:
            UnauthorizedError: no token, one that nobody knows, or one that has expired.
            ForbiddenError: it lacks the scope.
        """
        grant = self._known.get(authorization) if authorization is not None else None
        if grant is None:
            grant = self._find(authorization, scope)
        if grant.until != inf and grant.until <= self._clock():
            raise self._refused("expired", "the token has expired")
        if scope not in grant.scopes:
            self._metrics.unauthorized("scope")
            raise ForbiddenError(
                f"the token is not good for this: it needs the scope {scope}",
                challenge=f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"',
            )
        return grant.until

    def _find(self, authorization: bytes | None, scope: str) -> Grant:
        if authorization is None or authorization[:7].lower() != b"bearer ":
            self._metrics.unauthorized("missing")
            raise UnauthorizedError(
                "this server asks for a token: send the header authorization: Bearer <token>",
                challenge=f'{_CHALLENGE}, scope="{scope}"',
            )
        shown = _BEARER.fullmatch(authorization)
        if shown is None:
            raise self._refused("malformed", "there is no token behind Bearer, or more than one")
        digest = digest_of(shown[1])
        # Found by a hash that nobody outside can compute, so the time it takes tells nothing of the tokens.
        grant, known = self._tokens.get(self._hidden(digest), (None, b""))
        if grant is None or not hmac.compare_digest(known, digest):
            raise self._refused("unknown", "this server does not know the token")
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[authorization] = grant
        return grant

    def _refused(self, reason: str, message: str) -> UnauthorizedError:
        self._metrics.unauthorized(reason)
        return UnauthorizedError(
            message, challenge=f'{_CHALLENGE}, error="invalid_token", error_description="{message}"'
        )

    def _hidden(self, digest: bytes) -> bytes:
        return hashlib.blake2b(digest, key=self._key, digest_size=32).digest()

    def _keep(self, tokens: Tokens) -> None:
        self._tokens = {self._hidden(digest): (grant, digest) for digest, grant in tokens.items()}
        self._ends = sorted({grant.until for grant in tokens.values() if grant.until != inf}, reverse=True)
        self._skip_past()

    # What changes with time

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on ends of grants and changes of the file are noticed, until `close`."""
        self._timer = loop.call_later(self._pause_s(), self._tick, loop)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.look()
        self.follow(loop)

    def look(self) -> None:
        """Reads the file again when it has changed, and forgets what has ended."""
        over = self._skip_past()
        if self._changes.settled():
            over = self._read_again() or over
        if over:
            self._known.clear()
            for forget in self.on_change:
                forget()

    def _read_again(self) -> bool:
        try:
            tokens = read_tokens(self._file, self._text, VARIABLE)
        except ConfigError as error:
            logger.error("the tokens before it still hold: %s", error)  # noqa: TRY400 - it says all
            return False
        self._keep(tokens)
        if tokens:
            logger.info("read %d tokens anew from %s", len(tokens), self._file)
        else:
            logger.warning("%s holds no token any more: nobody may call", self._file)
        return True

    def _skip_past(self) -> bool:
        """Whether a grant has ended since this was last asked."""
        now, before = self._clock(), len(self._ends)
        while self._ends and self._ends[-1] <= now:
            self._ends.pop()
        return len(self._ends) < before

    def _pause_s(self) -> float:
        """Until the next look; none is late for the end of a grant."""
        return min(LOOK_EVERY_S, max(0.001, self._ends[-1] - self._clock())) if self._ends else LOOK_EVERY_S
