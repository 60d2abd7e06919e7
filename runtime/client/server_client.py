"""What both clients have: an address, options for calls, and what those made by `with_options` share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .address import Address
from .directory import token_from_environment
from .options import CallOptions, Trust

if TYPE_CHECKING:
    from typing_extensions import Self


class ServerClient(ABC):
    """`Client` tells the arguments."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float | None = None,
        retries: int = 3,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool = False,
        ca: str | Path = "",
        cert: str | Path = "",
        key: str | Path = "",
        max_connections: int = 100,
    ) -> None:
        self._address = Address.parse(url)
        self._options = CallOptions(
            timeout_s=timeout_s,
            retries=retries,
            token=token_from_environment() if token is None else token,
            headers=dict(headers or {}),
            idempotent=idempotent,
        )
        self._shared = self._open(self._address, Trust(ca, cert, key), max_connections)

    @abstractmethod
    def _open(self, address: Address, trust: Trust, most: int) -> Any:
        """The connections, and what is known of the server."""

    def with_options(self, **changed: Any) -> Self:
        """This client with other options for calls, on the same connections.

            client.with_options(timeout_s=2, headers={"x-request-id": "a1"}).classify(flowers)

        Args:
            changed: `timeout_s`, `retries`, `token`, `headers`, `idempotent`.

        Raises:
            TypeError: another name.
            UsageError: a value that makes no sense.
        """
        made = object.__new__(type(self))
        made._address, made._shared = self._address, self._shared
        made._options = replace(self._options, **changed)
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._address)!r})"
