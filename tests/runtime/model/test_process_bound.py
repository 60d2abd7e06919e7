"""Objects that no pickle can carry to another process."""

from __future__ import annotations

import io
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tiffin.errors import ModelError
from tiffin.runtime.model.pickles import dump, load
from tiffin.runtime.model.process_bound import bound_kind, path_to, stream_name


def test_what_belongs_to_one_process(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file, socket.socket() as one, closing(sqlite3.connect(":memory:")) as database:
        assert bound_kind(file) == f"an open file ({path})"
        assert bound_kind(one) == "a socket"
        assert bound_kind(database) == "a database connection"
    with ThreadPoolExecutor(1) as pool:
        assert bound_kind(pool) == "a pool of threads or processes"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        assert bound_kind(process) == "another process"
    assert bound_kind(threading.RLock()) == "a lock"
    assert bound_kind(threading.current_thread()) == "a thread"
    assert bound_kind(each for each in "a") == "a generator"


@pytest.mark.parametrize(
    "obj", [io.BytesIO(), io.StringIO(), sys.stdout, 1, print, io.TextIOWrapper, range(3)]
)
def test_what_may_travel(obj: Any) -> None:
    assert bound_kind(obj) == ""


def test_the_streams_of_this_process() -> None:
    assert stream_name(sys.stderr) == "stderr"
    assert stream_name(io.StringIO()) == ""


LOCK = threading.Lock()


def locked() -> bool:
    return LOCK.locked()


def holding(what: Any) -> Callable[[], Any]:
    return lambda: what


class Unset:
    def reader(self) -> Callable[[], Any]:
        def read() -> Any:
            return later

        if False:
            later = 1
        return read


@pytest.mark.parametrize(
    ("root", "path"),
    [
        (LOCK, "x"),
        ({"a": [1, (LOCK,)]}, "x['a'][1][0]"),
        (SimpleNamespace(inner={"b": LOCK}), "x.inner['b']"),
        (holding({1: LOCK}), "x → what[1]"),
        (locked, "x → LOCK"),
        (SimpleNamespace(read=Unset().reader(), lock=LOCK), "x.lock"),
        ([sys, 1], "x"),
    ],
)
def test_where_it_is(root: Any, path: str) -> None:
    assert path_to(root, lambda each: each is LOCK, "x") == path


def test_a_circle_ends() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert path_to(ring, lambda each: each is LOCK, "x") == "x"


class Reader:
    """A model that has a file open."""

    def __init__(self, path: Path) -> None:
        self.words = path.open(encoding="utf-8")

    def __call__(self, x: int) -> int:
        return x


def test_a_model_with_an_open_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("a\n" * 3)
    model = Reader(tmp_path / "words")
    with (
        model.words,
        pytest.raises(ModelError, match=r"Reader\.words is an open file \(.*words\), .*on_start"),
    ):
        dump(model, tmp_path / "model.pkl")
    dump({"x": range(3)}, tmp_path / "other.pkl")
    assert load(tmp_path / "other.pkl") == {"x": range(3)}
