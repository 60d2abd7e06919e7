"""The protocols that an API process speaks over HTTP besides its own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..http.serving import Serving
    from .protocol import Protocol

PROTOCOLS: tuple[tuple[str, str], ...] = (
    ("oip.protocol", "OpenInference"),
    ("v1.protocol", "V1"),
    ("torchserve.protocol", "TorchServe"),
)
"""Module in this room, and class. The first one that wants a path has it."""


def protocols(serving: Serving) -> list[Protocol]:
    """All of them, for one API process."""
    made = (getattr(import_module(f".{module}", __package__), name) for module, name in PROTOCOLS)
    return [protocol(serving) for protocol in made]
