"""The head of an HTTP/1.1 request: what stays the same for an api is made once."""

from __future__ import annotations

from ... import __version__
from .address import Address
from .api import MEDIA_TYPE, Api
from .options import CallOptions
from .outgoing import Outgoing, inherited
from .patience import remaining_s

_AGENT = f"user-agent: tiffin-client/{__version__}\r\n"


class RequestHeads:
    """Writes heads for one server."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._of_apis: dict[Api, bytes] = {}

    def call(self, outgoing: Outgoing) -> bytes:
        api, options = outgoing.api, outgoing.options
        fixed = self._of_apis.get(api)
        if fixed is None:
            fixed = self._of_apis[api] = self._fixed(
                "POST", api.route, f"accept: {api.accept}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            )
        pairs = inherited(options)
        lines = "".join(f"{name}: {value}\r\n" for name, value in pairs).encode("ascii") if pairs else b""
        return b"%bcontent-length: %d\r\nx-request-timeout: %.3f\r\n%b%b\r\n" % (
            fixed,
            outgoing.size_bytes,
            max(0.001, remaining_s(outgoing.deadline)),
            options.lines,
            lines,
        )

    def get(self, path: str, options: CallOptions) -> bytes:
        return self._fixed("GET", path, "") + options.lines + b"\r\n"

    def _fixed(self, method: str, path: str, lines: str) -> bytes:
        target = f"{self._address.prefix}{path}"
        return f"{method} {target} HTTP/1.1\r\nhost: {self._address.authority}\r\n{_AGENT}{lines}".encode(
            "ascii"
        )
