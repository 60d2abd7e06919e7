"""A server that serves signed bundles only, at its start and when it is reloaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from projects import echo_project
from server import ServeFailedError, Server

from tiffin.bundler import bundles, signing
from tiffin.bundler.build import build


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """echo:v1 and echo:v2, v1 signed by key.pem."""
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for version in ("v1", "v2"):
        build(echo_project(tmp_path / "project"), version=version, lock=False)
    signing.new_key(tmp_path / "key.pem")
    signing.sign("echo:v1", tmp_path / "key.pem")
    return tmp_path


def reload(tag: str, server: Server) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tiffin", "reload", tag, "--pid", str(server.pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_signed_one_is_served_and_no_other_takes_its_place(here: Path) -> None:
    with Server("echo:v1", "--require-signed", "key.pub.pem", cwd=here) as server:
        say: dict[str, Any] = {"json": {"text": "a", "times": 2}}
        assert httpx.post(f"{server.base_url}/say", **say).json() == "aa"
        refused = reload("echo:v2", server)
        assert refused.returncode != 0
        assert "nobody signed it" in refused.stderr
        assert httpx.post(f"{server.base_url}/say", **say).json() == "aa"
        signing.sign("echo:v2", here / "key.pem")
        done = reload("echo:v2", server)
        assert (done.returncode, httpx.post(f"{server.base_url}/say", **say).json()) == (0, "aa"), done.stderr


def test_others_are_refused_before_any_of_their_code_runs(here: Path) -> None:
    environ = {"TIFFIN_REQUIRE_SIGNED": str(here / "key.pub.pem")}
    for target, what in (("echo:v2", "nobody signed it"), ("project", "project is none")):
        with pytest.raises(ServeFailedError, match=what), Server(target, environ=environ, cwd=here):
            pass
    trace = here / "it-ran"
    source = bundles.get("echo:v1").path / "src" / "service.py"
    source.chmod(0o644)
    source.write_text(f"open({str(trace)!r}, 'w')\n" + source.read_text())
    with (
        pytest.raises(ServeFailedError, match=r"src/service\.py: changed"),
        Server("echo:v1", environ=environ),
    ):
        pass
    assert not trace.exists()


def test_the_command_of_images(here: Path) -> None:
    """`bundle-serve`, as the first process of a container runs it."""
    folder = bundles.get("echo:v2").path
    command = [sys.executable, "-m", "tiffin.runtime.entrypoint", "--bundle", str(folder), "--port", "0"]
    done = subprocess.run(
        [*command, "--require-signed", "key.pub.pem"], cwd=here, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "nobody signed it" in done.stderr) == (1, True), done.stderr
