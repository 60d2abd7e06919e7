"""How far a long step is: a bar on a terminal, or in a cell of a notebook; nothing for a pipe or a log.

The public functions draw one of their own when nobody listens to them; within another's they keep still.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    import rich.progress

Progress = Callable[[str, int, int], None]
"""What is done now, how much of it is done, and how much there is in all; 0: not known."""
BytesProgress = Callable[[int, int], None]
"""Bytes done, bytes in all."""
P = ParamSpec("P")
T = TypeVar("T")

_taken: ContextVar[bool] = ContextVar("taken", default=False)
"""Whether somebody tells already how far it is, or nobody shall."""


class Bar:
    """A running display; this one does nothing, for where there is nobody to look at it."""

    def update(
        self, text: str | None = None, *, done: float | None = None, total: float | None = None
    ) -> None:
        """Shows the step that runs now.

        Args:
            text: what is done now: `copy models`.
            done: how much of `total`, in the unit of the display.
            total: None: not known, the bar pulses.
        """

    def advance(self, amount: float = 1) -> None:
        """So much more is done."""

    def finish(self, text: str, url: str = "") -> None:
        """What a display that stays, as a notebook's, says at the end, with an address behind it."""


class _TerminalBar(Bar):
    def __init__(self, bar: rich.progress.Progress, task: rich.progress.TaskID) -> None:
        self._bar = bar
        self._task = task

    def update(
        self, text: str | None = None, *, done: float | None = None, total: float | None = None
    ) -> None:
        self._bar.update(self._task, description=text, completed=done, total=total)

    def advance(self, amount: float = 1) -> None:
        self._bar.advance(self._task, amount)


@contextmanager
def terminal_bar(text: str, total: float | None) -> Iterator[Bar]:
    """A bar on stderr, gone at the end; none when stderr is no terminal."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    words = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), words, BarColumn(), TaskProgressColumn(), Elapsed())
    colours = not os.environ.get("NO_COLOR")
    console = Console(
        file=sys.stderr, color_system="auto" if colours else None, highlight=False, markup=False
    )
    # rich would write what the user's code prints to the console: to stderr, past `> log.txt`.
    redirected = sys.stdout.isatty()
    with Progress(*columns, console=console, transient=True, redirect_stdout=redirected) as bar:
        yield _TerminalBar(bar, bar.add_task(text, total=total))


@contextmanager
def taken() -> Iterator[None]:
    """Within, the public functions draw nothing: somebody else does, or nobody shall."""
    token = _taken.set(True)
    try:
        yield
    finally:
        _taken.reset(token)


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook; imports nothing to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def shown(text: str, ending: Callable[[Any], str]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a public function with a keyword `on_progress: Progress | None`: without one, a bar is drawn.

    Args:
        text: the first step.
        ending: of the result: what a display that stays says at the end, `built iris:6f3k2q…`.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            if kwargs.get("on_progress") is not None or _taken.get():
                return function(*args, **kwargs)
            with taken(), _bar(text) as bar:
                began = time.monotonic()
                kwargs["on_progress"] = _told_to(bar)
                made = function(*args, **kwargs)
                bar.finish(f"{ending(made)} in {time.monotonic() - began:.1f} s")
                return made

        return call

    return decorate


def silent(step: str, done: int, total: int) -> None:
    """Nobody asked for progress."""


def _bar(text: str) -> AbstractContextManager[Bar]:
    if in_notebook():
        from .notebook_bar import notebook_bar

        return notebook_bar(text, None)
    return terminal_bar(text, None)


def _told_to(bar: Bar) -> Progress:
    def tell(step: str, done: int, total: int) -> None:
        bar.update(step, done=done, total=total or None)

    return tell
