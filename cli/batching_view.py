"""What `bundle batching` shows: one process after the other, one method after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..runtime.http import report
from . import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Group, RenderableType
    from rich.table import Table

LAST_SHOWN = 12
"""Of the last batches; `--json` has them all."""
LAST = ("left>", "rows>", "requests>", "why", "waited, ms>", "took, ms>", "worker")

Told = dict[str, Any]


def any_batches(told: Told) -> bool:
    return any(method["reasons"] for process in told["processes"] for _, method in methods(process))


def methods(process: Told) -> Iterator[tuple[str, Told]]:
    """`forest.predict` and what is known of it."""
    for runner, known in process["runners"].items():
        for name, method in known["methods"].items():
            yield f"{runner}.{name}", method


def write(told: Told) -> None:
    """As plain lines, for a pipe or a file."""
    for process in told["processes"]:
        console.say(report.report(process))
        for title, method in methods(process):
            if method["last_batches"]:
                console.say(f"{title}: the last batches")
                console.table(LAST, last(process, method))
        console.say("")


def last(process: Told, method: Told) -> list[tuple[str, ...]]:
    """The newest first."""
    return [
        (
            ago(process["time"] - each["at"]),
            f"{each['rows']:g}",
            f"{each['requests']}",
            f"{each['reason']} (failed)" if each["failed"] else each["reason"],
            report.milliseconds(each["waited_s"]),
            report.milliseconds(each["service_s"]),
            each["worker"],
        )
        for each in method["last_batches"][: -LAST_SHOWN - 1 : -1]
    ]


def ago(seconds: float) -> str:
    """`12 ms ago`, `3.4 s ago`, `5 min ago`"""
    if seconds < 1:
        return f"{max(0.0, seconds * 1000):.0f} ms ago"
    if seconds < 120:
        return f"{seconds:.1f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.1f} h ago"


def drawn(told: Told) -> Group:
    """For a terminal."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    parts: list[RenderableType] = []
    for process in told["processes"]:
        for title, method in methods(process):
            name = Text.assemble((title, "bold green"), (f"  {process['process']}", "dim"))
            parts.append(Panel(Group(*_method(process, method)), title=name, title_align="left"))
    if not parts:
        parts.append(Text("This service has no runners: nothing is batched."))
    return Group(Text(f"{told['title']}, told by {told['answered_by']}", style="dim"), *parts)


def _method(process: Told, method: Told) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(report.summary(method))
    yield Text(report.cap(method), style="dim")
    if not method["reasons"]:
        return
    learned = list(report.curve(method))
    if learned:
        yield Text()
        headings = report.headings(method)
        yield _table((*(f"{heading}>" for heading in headings), headings[2]), learned, bars=True)
    yield Text()
    yield Text.assemble(("left because  ", "dim"), report.reasons(method))
    if held := report.held(method):
        yield Text.assemble(("held back     ", "dim"), held)
    yield Text()
    yield _table(LAST, last(process, method))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, bars: bool = False) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, column in enumerate(columns):
        style = "green" if bars and place == len(columns) - 1 else None
        table.add_column(
            column.rstrip(">"), justify="right" if column.endswith(">") else "left", style=style, no_wrap=True
        )
    for row in rows:
        table.add_row(*row)
    return table
