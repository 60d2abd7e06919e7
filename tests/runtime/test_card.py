"""Facts as HTML: escaped, and the same for dark and light."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import tiffin
from tiffin.runtime.card import Link, Table, card

NASTY = "<script>alert('&\"')</script>!"


class Reader(HTMLParser):
    """Texts, tags and addresses; fails on tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [str(value) for name, value in attrs if name == "href"]
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_everything_is_escaped() -> None:
    read = Reader(
        card(
            NASTY,
            [(NASTY, NASTY), ("link", Link(f"http://x/{NASTY}", NASTY))],
            [Table([NASTY, f"{NASTY}>"], [[NASTY, NASTY]])],
            [NASTY],
        )
    )
    assert "script" not in read.tags
    assert read.texts.count(NASTY) == 9
    assert read.links == [f"http://x/{NASTY}"]


def test_what_is_empty_is_left_out() -> None:
    read = Reader(card("title", [("none", None), ("empty", ""), ("zero", 0)], [Table(["a"], [])]))
    assert {"none", "empty", "a"}.isdisjoint(read.texts)
    assert {"zero", "0"} <= set(read.texts)


def test_no_colour_of_its_own_but_half_transparent_grey() -> None:
    style = card("title", [("a", 1)], [Table(["a"], [[1]])], ["next"])
    assert not re.findall(r"(?:color|background):(?!inherit|none|rgba\(128)", style)
    assert "#" not in style.partition("</style>")[0]


class TestCards:
    @pytest.fixture(autouse=True)
    def home(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))

    def test_a_model(self) -> None:
        model = tiffin.models.save(
            "double",
            lambda x: x * 2,
            example=np.ones((2, 3), np.float32),
            classes=["a<b", "c", "d"],
            metadata={"accuracy": 0.971234567},
        )
        texts = Reader(model._repr_html_()).texts
        assert f"Model {model.tag}" in texts
        assert {"float32", "(n, 3)", "→", "a<b, c, d", "accuracy 0.971235"} <= set(texts)
        assert 'tiffin.runner("double:latest")' in texts
        assert any(text.startswith("sha256:") for text in texts)
        assert repr(model).startswith("<Model double:")

    def test_a_model_that_is_gone(self) -> None:
        model = tiffin.models.save("double", lambda x: x * 2)
        tiffin.models.delete(model.tag)
        (model,) = [tiffin.Model(model.path, model.tag)]
        assert "unreadable" in Reader(model._repr_html_()).texts

    def test_runners(self) -> None:
        class Encoder:
            @tiffin.batch(max_size=16)
            def encode(self, texts: list[str]) -> np.ndarray:
                raise NotImplementedError

        missing = tiffin.runner("nothing:latest")
        assert any("no model 'nothing'" in text for text in Reader(missing._repr_html_()).texts)
        model = tiffin.models.save("double", lambda x: x * 2, example=np.ones((2, 3)))
        texts = Reader(tiffin.runner("double:latest", workers={"min": 1, "max": 4})._repr_html_()).texts
        assert {"Runner of double:latest", str(model.tag), "1..4", "64 rows", "(n, 3)"} <= set(texts)
        local = Reader(tiffin.runner(Encoder)._repr_html_()).texts
        assert any("defined inside a function" in text for text in local)
