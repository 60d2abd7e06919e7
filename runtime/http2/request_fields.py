"""The fields of a request: which sets of them are one (RFC 9113, 8.2 and 8.3)."""

from __future__ import annotations

import re

from ..http.authority import is_authority
from .header_block import Fields

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_BAD_VALUE = re.compile(rb"[\x00\r\n]|^[ \t]|[ \t]$")
_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})
_LENGTH = re.compile(rb"[0-9]{1,18}")
_SINGLE = frozenset({b"content-length", b"host"})
_NEEDED = (b":method", b":scheme", b":path")
_OF_CONNECTIONS = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)


def wrong_with(fields: Fields) -> str:
    """Why these are not the fields of a request; empty when they are."""
    pseudo: dict[bytes, bytes] = {}
    single: dict[bytes, bytes] = {}
    regular = False
    for name, value in fields:
        if name[:1] == b":":
            if regular or name not in _PSEUDO or name in pseudo:
                return "a pseudo field is unknown, repeated, or stands after others"
            pseudo[name] = value
        else:
            regular = True
            if name in _OF_CONNECTIONS or (name == b"te" and value != b"trailers"):
                return "a field that is for HTTP/1.1 connections only"
            if name in _SINGLE:
                if name in single:
                    return "more than one length or host"
                single[name] = value
        if _wrong(name, value):
            return "a field has a name or a value that none can have"
    return _wrong_target(pseudo) or _wrong_single(single, pseudo.get(b":authority"))


def _wrong_target(pseudo: dict[bytes, bytes]) -> str:
    if not all(pseudo.get(name) for name in _NEEDED):
        return "a pseudo field is missing"
    path = pseudo[b":path"]
    return "" if path[:1] == b"/" or path == b"*" else "the path begins with no slash"


def _wrong_single(single: dict[bytes, bytes], authority: bytes | None) -> str:
    length, host = single.get(b"content-length"), single.get(b"host")
    if length is not None and _LENGTH.fullmatch(length) is None:
        return "a length that is no number"
    if authority is not None and host is not None and authority.lower() != host.lower():
        return "another host than authority"  # 8.3.1, as the next
    # One field of its kind, so a comma joins nothing: callers of gRPC with several addresses name them all.
    named = [host or b""] if authority is None else authority.split(b",")
    valid = all(name and is_authority(name) for name in named)
    return "" if valid else "no host is named, or one that none can be"


def wrong_with_trailers(fields: Fields) -> str:
    """Why these cannot end a request; empty when they can."""
    for name, value in fields:
        if name[:1] == b":" or name in _OF_CONNECTIONS or _wrong(name, value):
            return "a field that no trailer can have"
    return ""


def _wrong(name: bytes, value: bytes) -> bool:
    bare = name[1:] if name[:1] == b":" else name
    return _NAME.fullmatch(bare) is None or (bool(value) and _BAD_VALUE.search(value) is not None)
