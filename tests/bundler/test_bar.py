"""Bars of the public functions: on a terminal, in a notebook, nowhere else, and never two."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import tiffin
from tiffin.bundler.bar import Bar, Progress, in_notebook, shown, taken, terminal_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def looked_at(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Not a fixture: pytest puts its own stderr back before a test begins."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    return screen


@shown("look", lambda made: f"made {made}")
def work(name: str, *, on_progress: Progress | None = None) -> int:
    if on_progress is not None:
        on_progress(f"copy {name}", 1, 2)
    return len(name)


def test_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = looked_at(monkeypatch)
    assert work("abc") == 3
    assert "copy abc" in terminal.getvalue()
    assert "50%" in terminal.getvalue()


def test_what_the_code_prints_goes_where_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, log = looked_at(monkeypatch), io.StringIO()
    monkeypatch.setattr(sys, "stdout", log)
    with terminal_bar("import", None):
        print("loaded")
    assert log.getvalue() == "loaded\n"
    assert "loaded" not in terminal.getvalue()


def test_a_dumb_terminal_and_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = looked_at(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    assert work("abc") == 3
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    assert work("abc") == 3
    assert terminal.getvalue() == ""


def test_somebody_else_tells_already(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = looked_at(monkeypatch)
    told: list[str] = []
    assert work("abc", on_progress=lambda step, done, total: told.append(f"{step} {done} of {total}")) == 3
    assert told == ["copy abc 1 of 2"]
    with taken():
        assert work("abc") == 3
    assert terminal.getvalue() == ""


def test_one_within_another_keeps_still(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = looked_at(monkeypatch)

    @shown("outer", str)
    def outer(*, on_progress: Progress | None = None) -> int:
        return work("inner")

    assert outer() == 5
    assert "outer" in terminal.getvalue()
    assert "copy inner" not in terminal.getvalue()
    assert work("after") == 5
    assert "copy after" in terminal.getvalue()


def test_words_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = looked_at(monkeypatch)
    with terminal_bar("[red]x[/red]", 2) as bar:
        bar.advance()
        bar.finish("nobody sees it")
    assert "[red]x[/red]" in terminal.getvalue()


def test_nobody_looks() -> None:
    bar = Bar()
    bar.update("x", done=1, total=2)
    bar.advance()
    bar.finish("x")


def test_a_kernel_is_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    assert "IPython" not in sys.modules, "asking imports nothing"
    for shell, is_one in ((None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=1), True)):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert in_notebook() is is_one


def test_the_public_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = looked_at(monkeypatch)
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    told: list[tuple[str, int, int]] = []
    tiffin.models.save("double", max, on_progress=lambda *step: told.append(step))
    assert terminal.getvalue() == ""
    assert [step for step, _, _ in told] == ["look at double", "write double", "hash double"]
    assert told[-1][1] == told[-1][2] > 0
    tiffin.models.save("double", max)
    assert "hash double" in terminal.getvalue()
