"""A bar in a cell of a notebook, without ipywidgets: HTML for a front end, the same as text for a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from ..runtime.card import Link
from .bar import Bar

_INTERVAL_S = 0.1
"""The bar is drawn anew this often, however many steps there are."""


@contextmanager
def notebook_bar(text: str, total: float | None) -> Iterator[Bar]:
    """One display, updated in place; at the end it says how long it took, or what failed."""
    bar = _Display(text, total)
    try:
        yield bar
    except BaseException:
        bar.end(f"failed: {bar.text}")
        raise
    bar.end(bar.ending or f"done in {bar.seconds:.1f} s", bar.url)


class _Display(Bar):
    """A line of words above a bar."""

    def __init__(self, text: str, total: float | None) -> None:
        from IPython.display import DisplayHandle

        self.text = text
        self.ending = self.url = ""
        self._done = 0.0
        self._total = total
        self._started = time.monotonic()
        self._drawn = 0.0
        self._handle: Any = DisplayHandle()
        self._draw(self._handle.display)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def update(
        self, text: str | None = None, *, done: float | None = None, total: float | None = None
    ) -> None:
        changed = text is not None and text != self.text
        self.text = self.text if text is None else text
        self._done, self._total = (self._done if done is None else done), total
        if changed or time.monotonic() - self._drawn >= _INTERVAL_S:
            self._draw(self._handle.update)

    def advance(self, amount: float = 1) -> None:
        self.update(done=self._done + amount, total=self._total)

    def finish(self, text: str, url: str = "") -> None:
        self.ending, self.url = text, url

    def end(self, text: str, url: str = "") -> None:
        """Takes the bar away."""
        link = Link(url).html() if url else ""
        self._handle.update(
            {"text/html": _line(text, link), "text/plain": f"{text} {url}".rstrip()}, raw=True
        )

    def _draw(self, put: Any) -> None:
        self._drawn = time.monotonic()
        words = f"{self.text} · {self.seconds:.0f} s"
        put({"text/html": _line(words) + self._stripe(), "text/plain": self.text}, raw=True)

    def _stripe(self) -> str:
        share = min(1.0, self._done / self._total) if self._total else 0.0
        return (
            '<div style="width:320px;max-width:100%;height:5px;border-radius:3px;'
            'background:rgba(128,128,128,.28)">'
            f'<div style="width:{100 * share:.0f}%;height:100%;border-radius:3px;'
            'background:var(--jp-brand-color1,#2188d9)"></div></div>'
        )


def _line(words: str, link: str = "") -> str:
    return f'<div style="font-size:13px;opacity:.85">{escape(words)} {link}</div>'
