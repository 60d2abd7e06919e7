"""Tokens of callers as text: one a line, or with semicolons between: what each is good for and until when.

    # who     token           scopes            until (UTC)
    shop      sha256:9f86d0…  predict           2027-01-31
    grafana   a-plain-token…  metrics
    ops       sha256:60303a…  predict,manage

No message here quotes what was written: a word in the wrong place may be a token.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from math import inf
from typing import NamedTuple

from ...errors import ConfigError

VARIABLE = "TIFFIN_AUTH_TOKENS"
"""Of the environment, where there is no file."""
PREDICT, MANAGE, METRICS = SCOPES = ("predict", "manage", "metrics")
ALL = "all"
LEAST_CHARS = 16
"""Shorter ones can be found by trying."""
DIGEST = "sha256:"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750, 2.1: what may stand behind `Bearer`."""
_HEX = re.compile(r"[0-9a-f]{64}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z)?")


class Grant(NamedTuple):
    """What one token is good for."""

    name: str
    """Whose it is, for logs; two tokens of one caller may share it while one follows the other."""
    scopes: frozenset[str]
    until: float
    """Unix seconds; inf: for good."""


Tokens = dict[bytes, Grant]
"""By SHA-256 of the token, 32 bytes."""


class _Line(NamedTuple):
    number: int
    name: str
    digest: bytes
    scopes: str
    until: str


def parse_tokens(text: str, where: str) -> Tokens:
    """The tokens in a text; none when there are only comments.

    Args:
        where: the file or variable, for errors.

    Raises:
        ConfigError: a line that makes no sense; names its number, never what is in it.
    """
    tokens: Tokens = {}
    lines: dict[bytes, int] = {}
    for line in _lines(text, where):
        at = f"{where}, line {line.number}"
        if line.digest in tokens:
            raise ConfigError(
                f"{at}: the same token is in line {lines[line.digest]}: give each caller its own"
            )
        tokens[line.digest] = Grant(line.name, _scopes(line.scopes, at), _until(line.until, at))
        lines[line.digest] = line.number
    return tokens


def digests_only(text: str, where: str) -> str:
    """The same tokens in a form that gives none of them away.

    Raises:
        ConfigError: as `parse_tokens`.
    """
    parse_tokens(text, where)
    return "\n".join(
        f"{line.name} {DIGEST}{line.digest.hex()} {line.scopes} {line.until}".rstrip()
        for line in _lines(text, where)
    )


def digest_of(token: bytes) -> bytes:
    """32 bytes."""
    return hashlib.sha256(token).digest()


def _lines(text: str, where: str) -> Iterator[_Line]:
    entries = (
        (number, entry.split())
        for number, written in enumerate(text.splitlines(), 1)
        for entry in written.partition("#")[0].split(";")
    )
    for number, words in entries:
        if not words:
            continue
        at = f"{where}, line {number}"
        if not 3 <= len(words) <= 4:
            raise ConfigError(
                f"{at} has {len(words)} words: write name, token and scopes, and the day until which it holds"
                " where it ends: shop sha256:… predict 2027-01-31"
            )
        if not _NAME.fullmatch(words[0]):
            raise ConfigError(
                f"{at}: the name has other characters than letters, digits and ._@-, or over 64"
            )
        yield _Line(number, words[0], _digest(words[1], at), words[2], words[3] if len(words) > 3 else "")


def _digest(word: str, at: str) -> bytes:
    if word.startswith(DIGEST):
        digits = word[len(DIGEST) :].lower()
        if not _HEX.fullmatch(digits):
            raise ConfigError(f"{at}: {DIGEST} is followed by 64 hexadecimal digits")
        return bytes.fromhex(digits)
    if not _TOKEN.fullmatch(word):
        raise ConfigError(
            f"{at}: the token has characters that HTTP does not take in one: use letters, digits and -._~+/"
        )
    if len(word) < LEAST_CHARS:
        raise ConfigError(
            f"{at}: the token has {len(word)} characters, use {LEAST_CHARS} or more: bundle token makes one"
        )
    return digest_of(word.encode("ascii"))


def _scopes(word: str, at: str) -> frozenset[str]:
    scopes = frozenset(word.split(","))
    if scopes == {ALL}:
        return frozenset(SCOPES)
    if not scopes <= set(SCOPES):
        raise ConfigError(
            f"{at}: the third word names scopes, with commas between: {', '.join(SCOPES)}; or {ALL}"
        )
    return scopes


def _until(word: str, at: str) -> float:
    if not word:
        return inf
    try:
        moment = datetime.fromisoformat(word.removesuffix("Z")) if _DATE.fullmatch(word) else None
    except ValueError:  # the 30th of February
        moment = None
    if moment is None:
        raise ConfigError(
            f"{at}: the fourth word is the last day on which the token holds, 2027-01-31, "
            "or a moment, 2027-01-31T12:00Z; both in UTC"
        )
    moment = moment.replace(tzinfo=timezone.utc)
    return (moment if "T" in word else moment + timedelta(days=1)).timestamp()
