"""Something that the protocol has and this server has not."""

from __future__ import annotations

from ....errors import RequestError


class UnsupportedError(RequestError):
    """501 over HTTP, UNIMPLEMENTED over gRPC. Says why, and what to do instead."""

    status = 501
    title = "Not supported"
