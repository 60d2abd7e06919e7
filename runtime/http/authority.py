"""Whom a request is meant for: `Host` and `:authority` (RFC 9110, 7.2; RFC 3986, 3.2.2)."""

from __future__ import annotations

import re

_CHARS = rb"[A-Za-z0-9._~!$&'()*+;=-]*"
_HOST = rb"%b(?:%%[0-9A-Fa-f]{2}%b)*" % (_CHARS, _CHARS)
_LITERAL = rb"\[[0-9A-Za-z:._~%-]+\]"
# A comma may stand in a name by the grammar; here it is what two fields of one name were joined with.
_is_authority = re.compile(rb"(?:%b|%b)(?::[0-9]*)?" % (_HOST, _LITERAL)).fullmatch


def is_authority(text: bytes) -> bool:
    """Whether it is one host, maybe with a port; an empty one means that there is none to name."""
    return _is_authority(text) is not None
