"""What the fields of a call say, worked out once for all calls that come with the same ones."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from .message_reader import CODINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..http2.header_block import Fields
    from .context import Rpc

_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
_UNITS_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_CONTENT_TYPE = b"application/grpc"
_OF_THE_TRANSPORT = frozenset(
    {
        b"accept-encoding",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"grpc-accept-encoding",
        b"grpc-encoding",
        b"grpc-timeout",
        b"te",
        b"transfer-encoding",
    }
)
"""Fields that say how the body travels; the rest is the call's metadata."""


class CallHead:
    """A call's fields.

    Args:
        rpcs: by path.
    """

    __slots__ = (
        "authorization",
        "coding",
        "is_call",
        "kept",
        "metadata",
        "path",
        "reply_coding",
        "rpc",
        "timeout_s",
        "wrong",
    )  # fmt: skip

    def __init__(self, fields: Fields, rpcs: Mapping[str, Rpc]) -> None:
        named = dict(fields)
        self.path = named[b":path"].decode("latin-1")
        self.rpc = rpcs.get(self.path)
        """None: there is no such."""
        self.wrong = ""
        """Why it cannot be called so."""
        content_type = named.get(b"content-type", b"")
        self.is_call = named[b":method"] == b"POST" and (
            content_type == _CONTENT_TYPE
            or content_type.startswith((b"application/grpc+", b"application/grpc;"))
        )
        """Else it is some other request of HTTP/2."""
        self.coding = named.get(b"grpc-encoding", b"")
        accepted = {each.strip() for each in named.get(b"grpc-accept-encoding", b"").split(b",")}
        self.reply_coding = self.coding if self.coding in CODINGS and self.coding in accepted else b""
        """Answers are compressed as the request was, if the caller reads such; empty: not at all."""
        self.timeout_s = self._timeout_s(named.get(b"grpc-timeout"))
        """None: the caller has said nothing."""
        self.metadata = self._metadata(fields)
        """Names in lower case; values of `-bin` names are decoded."""
        self.authorization = named.get(b"authorization")
        self.kept: dict[Any, Any] = {}
        """What an RPC has worked out for all calls with these fields."""

    def _timeout_s(self, text: bytes | None) -> float | None:
        if text is None:
            return None
        found = _TIMEOUT.fullmatch(text)
        if found is None:
            self.wrong = (
                f"grpc-timeout {text[:20].decode('latin-1')!r} is none: up to 8 digits and H, M, S, m, u or n"
            )
            return None
        return int(found[1]) * _UNITS_S[found[2]]

    def _metadata(self, fields: Fields) -> list[tuple[bytes, bytes]]:
        kept = []
        for name, value in fields:
            if name[:1] == b":" or name in _OF_THE_TRANSPORT:
                continue
            if name.endswith(b"-bin"):
                kept += [(name, part) for part in self._decoded(name, value)]
            else:
                kept.append((name, value))
        return kept

    def _decoded(self, name: bytes, value: bytes) -> list[bytes]:
        try:
            parts = [part.strip() for part in value.split(b",")]
            return [base64.b64decode(part + b"=" * (-len(part) % 4), validate=True) for part in parts]
        except (binascii.Error, ValueError):
            self.wrong = f"the value of {name[:80].decode('latin-1')} is not base64"
            return []
