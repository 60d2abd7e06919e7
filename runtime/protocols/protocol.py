"""What a foreign protocol over HTTP brings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..http.routes import Route

if TYPE_CHECKING:
    from ..http.app import Receive, Scope, Send
    from ..http.serving import Serving


class Protocol:
    """One for each API process. A subclass in one file, and its line in `registry`.

    Args:
        serving: what all connections share; its `endpoints` are what can be called.
    """

    trees: tuple[str, ...] = ()
    """`/v2`: this path and all below it go to `serve`, unless they are prediction routes."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving

    def routes(self) -> Iterable[Route]:
        """Its prediction routes: answered on the short way, by their `dialect`."""
        return ()

    def label(self, path: str) -> str:
        """The name of a path in metrics: one of few, whatever callers ask for."""
        return next((tree for tree in self.trees if path == tree or path.startswith(f"{tree}/")), path)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Everything else below its trees, errors too."""
        raise NotImplementedError
