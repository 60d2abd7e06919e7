"""Where commands draw in a notebook: HTML for a front end that shows it, the same as plain text for a log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from ...bundler.bar import Bar
from ...bundler.notebook_bar import notebook_bar
from ...runtime.card import Table, card
from ..console import panel_text, table_text


class Notebook:
    """Implements `console.Surface` by IPython's displays."""

    def panel(self, title: str, facts: Sequence[tuple[str, str]], next_steps: Sequence[str]) -> None:
        steps = [f"%{step}" if step.startswith("bundle ") else step for step in next_steps]
        _show(card(title, facts, next_steps=steps), panel_text(title, facts, steps))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        _show(card("", tables=[Table(columns, rows)]), table_text(columns, rows))

    def progress(self, text: str, total: float | None) -> AbstractContextManager[Bar]:
        return notebook_bar(text, total)


def _show(html: str, plain: str) -> None:
    from IPython.display import display

    display({"text/html": html, "text/plain": plain}, raw=True)
