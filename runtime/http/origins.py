"""Origins, as browsers send them: who may call from a page of another host."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...errors import ConfigError

ANY = "*"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@,\s\x00-\x20\x7f-\uffff]+")


def parse_origins(texts: Iterable[str]) -> tuple[str, ...]:
    """Each once, in lower case as browsers write them; one text may hold several, with commas between.

    Raises:
        ConfigError: one that is no origin; names it.
    """
    written = [one for text in texts for one in text.replace(",", " ").split()]
    origins = dict.fromkeys(one.lower().removesuffix("/") for one in written)
    for origin in origins:
        if origin != ANY and not _ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"--cors-origin {origin!r} is no origin: write scheme and host, "
                "https://shop.example.com or http://localhost:8080, or * for every page"
            )
    if ANY in origins and len(origins) > 1:
        raise ConfigError("--cors-origin * means every page: leave the others out")
    return tuple(origins)
