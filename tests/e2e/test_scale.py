"""`bundle scale` and `bundle show --plan` against a real server with real callers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import twice
from callers import RIGHT, Callers
from server import Server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    twice.write(tmp_path)
    return tmp_path


def bundle(*arguments: str | Path, code: int = 0) -> str:
    """Its standard output, or its error."""
    done = subprocess.run(
        [sys.executable, "-m", "tiffin", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_up_and_down_under_load_loses_nothing(folder: Path) -> None:
    with Server(folder) as server:
        port = ("--port", server.base_url.rpartition(":")[2])
        with Callers(f"{server.base_url}/twice", lambda _: ({"x": [1, 2.5]}, [2, 5])) as callers:
            up = json.loads(bundle("scale", "doubler=3", "api=2", "--json", *port))
            assert (len(server.pids("worker")), len(server.pids("server"))) == (3, 2)
            assert (up["before"]["runners"]["doubler"]["workers"], up["runners"]["doubler"]["workers"]) == (
                1,
                3,
            )
            shown = bundle("scale", "doubler=1", "api=1", *port)
            assert (len(server.pids("worker")), len(server.pids("server"))) == (1, 1)
            assert "doubler  3 → 1" in shown and "api      2 → 1" in shown
        assert set(callers.answers) == {RIGHT}, callers.answers
        assert "did you mean 'doubler'" in bundle("scale", "doublr=2", code=2)
        assert bundle("scale", "doubler=1..2", "--quiet") == ""
        page = httpx.get(f"{server.base_url}/metrics").text
        assert 'tiffin_scalings_total{reason="command",runner="doubler",service="twice"} 2.0' in page
        assert 'worker="doubler-2"' not in page
    assert "no server" in bundle("scale", "doubler=1", code=1)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (["doubler"], "write the runner's name, '=' and a number"),
        (["doubler=0"], "doubler='0' is no number of workers"),
        (["doubler=2", "doubler=3"], "doubler is named twice"),
        (["api=auto"], "API processes have a plain number"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_meant(numbers: list[str], said: str) -> None:
    assert said in bundle("scale", *numbers, code=2)


def test_the_plan_is_what_serve_then_does(folder: Path) -> None:
    options = ("--workers", "doubler=2..3", "--processes", "2")
    plan = json.loads(bundle("show", "--plan", folder, *options, "--json"))
    with Server(folder, *options) as server:
        ready = server.events[-1]
        mine, real = plan["runners"]["doubler"], ready["runners"]["doubler"]
        assert {key: mine[key] for key in real} == real
        assert mine["workers"] == len(server.pids("worker")) == 2
        assert plan["processes"] == ready["processes"] == len(server.pids("server"))
        assert httpx.post(f"{server.base_url}/environ").json()["OMP_NUM_THREADS"] == str(mine["threads"])
