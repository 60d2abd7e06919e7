from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tiffin.cli import console
from tiffin.errors import UsageError
from tiffin.runtime.tag import Tag


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """stdout and stderr become one terminal, 60 columns wide. No fixture: pytest's capture would undo it."""
    screen = Screen()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return screen


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"digest": "sha256:" + "0" * 200, "models": 2, "note": None, "empty": ""}
    console.panel("Built iris:abc", rows, ["bundle serve iris:abc  # try it"])
    assert capsys.readouterr().out.splitlines() == [
        "Built iris:abc",
        f"  digest  sha256:{'0' * 200}",
        "  models  2",
        "next:",
        "  bundle serve iris:abc  # try it",
    ]
    console.table(["tag", "size>"], [["iris:abc", 10], ["a:b", None], ["c:d", 12345]])
    assert capsys.readouterr().out.splitlines() == [
        "TAG        SIZE",
        "iris:abc     10",
        "a:b",
        "c:d       12345",
    ]


def test_an_empty_table_says_so_where_it_disturbs_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(["tag"], [], empty="no bundles")
    assert tuple(capsys.readouterr()) == ("", "no bundles\n")


def test_a_terminal_gets_colour_and_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    console.panel("Built iris:abc", [("digest", "sha256:0")], ["bundle serve  # [try] it"])
    console.table(["tag", "size>"], [["iris:abc", 10]])
    console.error("broken [red]")
    text = screen.getvalue()
    assert "╭" in text
    assert "\x1b[" in text
    for part in ("Built iris:abc", "sha256:0", "# [try] it", "iris:abc", "broken [red]"):
        assert part in text
    assert "\x1b[31m\x1b[1merror:\x1b[0m broken" in text


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    console.panel("Built iris:abc", [("digest", "sha256:0")], ["bundle serve"])
    console.table(["tag"], [["iris:abc"]])
    console.error("broken")
    console.warning("odd")
    console.note("by the way")
    assert "\x1b[" not in screen.getvalue()
    assert "error: broken\nwarning: odd\nby the way\n" in screen.getvalue()


def test_nothing_that_is_shown_speaks_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    bad = "x\x1b]0;owned\x07\x9b31m\r"
    console.panel(bad, {bad: bad})
    console.table(["tag"], [[bad]])
    for write in (console.say, console.error, console.note, console.warning):
        write(bad)
    text = screen.getvalue()
    assert text.count("x\\x1b]0;owned\\x07\\x9b31m\\x0d") == 8
    assert not [char for char in text if not char.isprintable() and char != "\n"]


def test_progress_is_shown_to_people_only(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with console.progress("copy models", total=3) as bar:
        bar.advance()
        bar.update("hash files", done=2)
    assert "hash files" in screen.getvalue()
    silent = Screen()
    monkeypatch.setattr(sys, "stderr", silent)
    with console.progress("copy models", total=3, quiet=True) as bar:
        bar.update("hash files", done=2)
    assert silent.getvalue() == ""
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with console.progress("copy models") as bar:
        bar.advance(2)
    assert pipe.getvalue() == ""


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass
    class Row:
        tag: Tag
        path: Path

    class Info(msgspec.Struct):
        rows: list[Row]
        ratio: float

    console.emit_json(Info([Row(Tag("iris", "abc"), Path("/x/ü"))], float("nan")))
    out = capsys.readouterr().out
    assert json.loads(out) == {
        "rows": [{"tag": {"name": "iris", "version": "abc"}, "path": "/x/ü"}],
        "ratio": None,
    }
    assert out.startswith("{\n  ")


@pytest.mark.parametrize(("typed", "answer"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_confirm_asks_a_person(typed: str, answer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    monkeypatch.setattr(sys, "stdin", Screen(typed))
    assert console.confirm("Delete iris:abc") is answer
    assert "Delete iris:abc? [y/N]" in screen.getvalue()


def test_confirm_does_not_hang_where_nobody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert console.confirm("Delete iris:abc", yes=True)
    with pytest.raises(UsageError, match="add --yes"):
        console.confirm("Delete iris:abc")
