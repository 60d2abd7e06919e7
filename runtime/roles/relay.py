"""Bytes between a TLS connection and a worker, which knows nothing of TLS."""

from __future__ import annotations

import asyncio


class Half(asyncio.Protocol):
    """One of two connections; what comes in here goes out at the other, no faster than it is taken there."""

    def __init__(self) -> None:
        self.other: Half | None = None
        self.closed = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other._transport is not None:
            self.other._transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other._transport is not None:
            self.other._transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other._transport is not None:
            self.other._transport.resume_reading()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        if self.other is not None and self.other._transport is not None:
            self.other._transport.close()
        self.closed.set()


def pair() -> tuple[Half, Half]:
    one, two = Half(), Half()
    one.other, two.other = two, one
    return one, two
