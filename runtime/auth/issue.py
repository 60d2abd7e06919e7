"""Makes a token: who gets it keeps the token, the server keeps its digest."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import ConfigError, StoreError
from .tokens import ALL, DIGEST, SCOPES, digest_of, parse_tokens

PREFIX = "tiffin_"
"""By it people and scanners of secrets know what they found."""
_BYTES = 32


class Issued(NamedTuple):
    token: str
    """For the caller; nobody else can know it again."""
    line: str
    """For the file of tokens."""


def issue(name: str, scopes: Sequence[str], until: str = "") -> Issued:
    """
    Args:
        name: of the caller.
        until: last day, `2027-01-31`, or moment, `2027-01-31T12:00Z`; empty: for good.

    Raises:
        ConfigError: one of them makes no sense.
    """
    token = f"{PREFIX}{secrets.token_urlsafe(_BYTES)}"
    written = ALL if set(scopes) >= set(SCOPES) else ",".join(dict.fromkeys(scopes))
    line = f"{name} {DIGEST}{digest_of(token.encode('ascii')).hex()} {written} {until}".rstrip()
    parse_tokens(line, "the token")
    return Issued(token, line)


def add(file: Path, line: str) -> None:
    """Puts a line at the end of a file of tokens; makes the file, for this user only, when there is none.

    Raises:
        ConfigError: what is in the file is no tokens.
        StoreError: the file cannot be written.
    """
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        parse_tokens(before, str(file))
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as opened:
            opened.write(f"{'' if not before or before.endswith(chr(10)) else chr(10)}{line}\n")
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is no text in UTF-8: it holds no tokens") from None
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from error
