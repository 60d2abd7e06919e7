"""Facts as HTML, for notebooks: a title, labelled values, tables, what to type next.

Everything is escaped. Colours are the reader's: text inherits, lines are half transparent, so that a card
reads on dark and on light, and without its style sheet (GitHub takes it away) it is still tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """\
<style>
.tiffin-card{display:inline-block;box-sizing:border-box;max-width:100%;padding:10px 16px 12px;\
border:1px solid rgba(128,128,128,.45);border-radius:6px;color:inherit;overflow-x:auto;\
font-size:13px;line-height:1.5}
.tiffin-card table{margin:6px 0 0;border-collapse:collapse;border:0;font-size:inherit;color:inherit}
.tiffin-card>:first-child{margin-top:0!important}
.tiffin-card tr,.tiffin-card th,.tiffin-card td{background:none!important;color:inherit}
.tiffin-card th,.tiffin-card td{padding:1px 18px 1px 0;border:0;text-align:left!important;\
vertical-align:top;overflow-wrap:anywhere;white-space:pre-wrap}
.tiffin-card th{font-weight:normal;opacity:.7;white-space:nowrap}
.tiffin-card table.tiffin-table{margin-top:10px}
.tiffin-card .tiffin-table thead th{border-bottom:1px solid rgba(128,128,128,.45)}
.tiffin-card .tiffin-right{text-align:right!important}
.tiffin-card .tiffin-next{margin-top:10px;opacity:.7}
.tiffin-card code{background:rgba(128,128,128,.16);border-radius:3px;padding:1px 5px;color:inherit;\
font-size:12px}
</style>
"""


@dataclass(frozen=True)
class Link:
    """An address that can be clicked."""

    url: str
    text: str = ""
    """Shown instead of the address."""

    def __str__(self) -> str:
        return self.url

    def html(self) -> str:
        address = escape(self.url)
        return f'<a href="{address}" target="_blank" rel="noopener">{escape(self.text or self.url)}</a>'


@dataclass(frozen=True)
class Table:
    """Rows under headings; a heading that ends with `>` has its column aligned to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def card(
    title: str,
    facts: Iterable[tuple[str, object]] = (),
    tables: Iterable[Table] = (),
    next_steps: Sequence[str] = (),
) -> str:
    """
    Args:
        title: one line; may be empty.
        facts: label and value; None and empty values are left out, a `Link` can be clicked.
        tables: those without rows are left out.
        next_steps: what to type, a line each.
    """
    told = [(label, value) for label, value in facts if value is not None and value != ""]
    parts = [f"<b>{escape(title)}</b>" if title else ""]
    if told:
        rows = "".join(f"<tr><th>{escape(label)}</th><td>{_cell(value)}</td></tr>" for label, value in told)
        parts.append(f"<table>{rows}</table>")
    parts += [_table(table) for table in tables if table.rows]
    if next_steps:
        lines = "<br>".join(f"<code>{escape(step)}</code>" for step in next_steps)
        parts.append(f'<div class="tiffin-next">next</div>{lines}')
    return f'{_STYLE}<div class="tiffin-card">{"".join(parts)}</div>'


def _table(table: Table) -> str:
    right = [column.endswith(">") for column in table.columns]
    head = "".join(
        f"<th{_aligned(to_right)}>{escape(column.rstrip('>'))}</th>"
        for column, to_right in zip(table.columns, right, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_aligned(to_right)}>{_cell(value)}</td>" for value, to_right in zip(row, right, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    return f'<table class="tiffin-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _aligned(to_right: bool) -> str:
    return ' class="tiffin-right"' if to_right else ""


def _cell(value: object) -> str:
    if isinstance(value, Link):
        return value.html()
    return "" if value is None else escape(str(value))
