"""The bar in a cell: what messages it sends, which any front end can draw."""

from __future__ import annotations

from typing import Any

import pytest

from tiffin.bundler import notebook_bar as module
from tiffin.bundler.notebook_bar import notebook_bar


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """Each message: whether it is new or replaces the one before, and its texts by type."""
    found: list[tuple[str, dict[str, str]]] = []

    class Handle:
        def display(self, data: dict[str, str], *, raw: bool) -> None:
            found.append(("display", data))

        def update(self, data: dict[str, str], *, raw: bool) -> None:
            found.append(("update", data))

    pytest.importorskip("IPython")
    monkeypatch.setattr("IPython.display.DisplayHandle", Handle)
    return found


def test_one_display_that_is_updated(sent: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_INTERVAL_S", 0.0)
    with notebook_bar("copy <files>", 4) as bar:
        bar.update(done=1, total=4)
        bar.advance()
        bar.finish("built iris:1", "http://127.0.0.1:3000")
    assert [kind for kind, _ in sent] == ["display", "update", "update", "update"]
    assert "copy &lt;files&gt;" in sent[0][1]["text/html"]
    assert "width:25%" in sent[1][1]["text/html"]
    assert "width:50%" in sent[2][1]["text/html"]
    assert sent[-1][1]["text/plain"] == "built iris:1 http://127.0.0.1:3000"
    for _, data in sent:
        assert set(data) == {"text/html", "text/plain"}
        assert "script" not in data["text/html"]
        assert "src=" not in data["text/html"]


def test_what_fails_says_so(sent: list[Any]) -> None:
    with pytest.raises(KeyboardInterrupt), notebook_bar("copy files", None) as bar:
        bar.update("hash files")
        raise KeyboardInterrupt
    assert sent[-1][1]["text/plain"] == "failed: hash files"


def test_steps_that_follow_at_once_are_not_all_drawn(sent: list[Any]) -> None:
    with notebook_bar("copy files", 1000) as bar:
        for _ in range(1000):
            bar.advance()
    assert len(sent) < 100
