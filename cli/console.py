"""What commands say to people and to machines.

People on a terminal get panels, tables and progress bars in colour (by rich, imported on first use;
`NO_COLOR` is honoured). A pipe or a file gets plain text: one fact a line, nothing truncated, no escape
codes. Results go to stdout, all else to stderr.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol

import click

from ..bundler.bar import Bar, taken, terminal_bar
from ..errors import UsageError

if TYPE_CHECKING:
    import rich.console
    from rich.console import RenderableType

Rows = Mapping[str, object] | Iterable[tuple[str, object]]

# Labels and paths may come from an archive of somebody else's: they must not speak to the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def is_terminal(stream: IO[str] | None = None) -> bool:
    """True when a person looks at the stream (default stdout)."""
    stream = stream or sys.stdout
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def colour_on(stream: IO[str] | None = None) -> bool:
    """Colours: on a terminal only, and never with `NO_COLOR` (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def error(message: str) -> None:
    """`error: …` on stderr, the first word red on a terminal."""
    _labelled("error", "red", message)


def warning(message: str) -> None:
    """`warning: …` on stderr, the first word yellow on a terminal."""
    _labelled("warning", "yellow", message)


def note(message: str) -> None:
    """A remark on stderr, dim on a terminal; a notebook would show stderr as alarming as an error."""
    click.echo(_style(clean(message), dim=True), err=_surface is None)


def say(message: str) -> None:
    """A line of the result, on stdout."""
    if message or _surface is None:  # an empty line keeps printed tables apart; drawn ones are apart
        click.echo(clean(message))


def panel(title: str, rows: Rows, next_steps: Sequence[str] = ()) -> None:
    """The end of a command: what was made, and what to type next.

    Args:
        title: `Built iris:6f3k2q…`
        rows: label and value; values become text, None and empty text are left out.
        next_steps: commands, each with an optional remark after `  #`.
    """
    title = clean(title)
    facts = [
        (clean(label), clean(value)) for label, value in _pairs(rows) if value is not None and value != ""
    ]
    if _surface is not None:
        _surface.panel(title, facts, next_steps)
        return
    if not is_terminal():
        say(panel_text(title, facts, next_steps))
        return
    width = max((len(label) for label, _ in facts), default=0)
    from rich.panel import Panel
    from rich.text import Text

    body = Text()
    for label, value in facts:
        body.append(f"{label:<{width}}  ", style="dim").append(f"{value}\n")
    if next_steps:
        body.append("\nnext\n" if facts else "next\n", style="dim")
        for step in next_steps:
            command, mark, remark = step.partition("  #")
            body.append(f"  {command}", style="bold").append(f"{mark}{remark}\n", style="dim")
    body.rstrip()
    _rich().print(Panel(body, title=Text(title, style="bold green"), title_align="left", expand=False))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "") -> None:
    """Rows under headings.

    Args:
        columns: headings; one that ends with `>` is aligned to the right.
        rows: values in the order of the columns; None is shown as nothing.
        empty: said (on stderr) in place of a table without rows.
    """
    cells = [["" if value is None else clean(value) for value in row] for row in rows]
    if not cells:
        if empty:
            note(empty)
        return
    if _surface is not None:
        _surface.table(columns, cells)
    elif is_terminal():
        _rich_table(columns, cells)
    else:
        say(table_text(columns, cells))


def panel_text(title: str, facts: Sequence[tuple[str, str]], next_steps: Sequence[str] = ()) -> str:
    """A panel for pipes and logs: one fact a line."""
    width = max((len(label) for label, _ in facts), default=0)
    lines = [title, *(f"  {label:<{width}}  {value}" for label, value in facts)]
    lines += ["next:", *(f"  {step}" for step in next_steps)] if next_steps else []
    return "\n".join(lines)


def table_text(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A table for pipes and logs: aligned by spaces, nothing cut short."""
    right = [column.endswith(">") for column in columns]
    headings = [column.rstrip(">") for column in columns]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    lines = []
    for line in ([heading.upper() for heading in headings], *cells):
        aligned = (
            f"{value:>{width}}" if to_right else f"{value:<{width}}"
            for value, width, to_right in zip(line, widths, right, strict=True)
        )
        lines.append("  ".join(aligned).rstrip())
    return "\n".join(lines)


def show(drawing: RenderableType) -> None:
    """Prints what rich draws, on stdout; for terminals."""
    _rich().print(drawing)


@contextmanager
def live() -> Iterator[Callable[[RenderableType], None]]:
    """Gives a function that draws over all of the terminal, and at the end gives the terminal back."""
    from rich.live import Live

    with Live(console=_rich(), screen=True, auto_refresh=False, vertical_overflow="crop") as display:
        yield lambda drawing: display.update(drawing, refresh=True)


def emit_json(value: object) -> None:
    """Writes a result for machines: one indented JSON document.

    Args:
        value: structs, dataclasses, plain data; anything else (paths, tags) becomes its text.
    """
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())


def confirm(question: str, *, yes: bool = False) -> bool:
    """Asks a person before something is lost.

    Args:
        question: without question mark.
        yes: the command's `--yes`: True without asking.

    Raises:
        UsageError: nobody can be asked, because stdin is no terminal.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"{question}? Nobody can be asked here: add --yes")
    return click.confirm(f"{question}?", default=False, err=True)


class Surface(Protocol):
    """Another place to draw than standard output: a notebook."""

    def panel(self, title: str, facts: Sequence[tuple[str, str]], next_steps: Sequence[str]) -> None: ...

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None: ...

    def progress(self, text: str, total: float | None) -> AbstractContextManager[Bar]: ...


_surface: Surface | None = None


@contextmanager
def drawn_on(surface: Surface) -> Iterator[None]:
    """Panels, tables and progress of this block go there; lines of text are printed as ever."""
    global _surface  # noqa: PLW0603 - there is one standard output, too
    before, _surface = _surface, surface
    try:
        yield
    finally:
        _surface = before


@contextmanager
def progress(text: str, *, total: float | None = None, quiet: bool = False) -> Iterator[Bar]:
    """A progress bar on stderr, gone when the block ends.

    Args:
        text: the first step.
        total: steps or bytes in all; None: not known.
        quiet: no display (`--quiet`, `--json`); neither is there one when stderr is no terminal.
    """
    with taken():
        if quiet:
            yield Bar()
        else:
            drawn = terminal_bar(text, total) if _surface is None else _surface.progress(text, total)
            with drawn as bar:
                yield bar


def clean(value: object) -> str:
    """As text that does not speak to the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", str(value))


def _pairs(rows: Rows) -> Iterable[tuple[str, object]]:
    return rows.items() if isinstance(rows, Mapping) else rows


def _labelled(label: str, colour: str, message: str) -> None:
    click.echo(f"{_style(f'{label}:', fg=colour, bold=True)} {clean(message)}", err=True)


def _style(text: str, **style: Any) -> str:
    return click.style(text, **style) if colour_on(sys.stderr) else text


def _rich(stream: IO[str] | None = None) -> rich.console.Console:
    from rich.console import Console

    stream = stream or sys.stdout
    return Console(
        file=stream, color_system="auto" if colour_on(stream) else None, highlight=False, markup=False
    )


def _rich_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    display = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        to_right = column.endswith(">")
        display.add_column(column.rstrip(">"), justify="right" if to_right else "left", overflow="fold")
    for row in cells:
        display.add_row(*row)
    _rich().print(display)


def counted(number: int, one: str, many: str = "") -> str:
    """`1 file`, `2 files`; `many` where that is not `one` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
