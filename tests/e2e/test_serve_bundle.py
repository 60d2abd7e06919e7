"""A bundle is served only when it is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from server import ServeFailedError, Server

SERVICE = """
from __future__ import annotations

import tiffin


@tiffin.service
class Greeter:
    @tiffin.api
    async def greet(self, name: str) -> str:
        return f"Good morning, {name}"
"""


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a bundle in the store of this test."""
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    project = tmp_path / "project"
    project.mkdir()
    (project / "service.py").write_text(SERVICE)
    command = [sys.executable, "-m", "tiffin", "build", str(project), "--no-lock", "--name", "greeter"]
    subprocess.run(command, check=True, capture_output=True)
    return next((tmp_path / "home" / "bundles" / "greeter").iterdir())


def test_by_its_folder_and_twice(bundle: Path) -> None:
    for _ in range(2):  # the first run must leave nothing behind that the second one refuses
        with Server(bundle) as server:
            answer = httpx.post(f"{server.base_url}/greet", json={"name": "Ada"})
            assert answer.json() == "Good morning, Ada"
            page = httpx.get(f"{server.base_url}/metrics").text
            assert f'bundle="greeter:{bundle.name}"' in page


def test_an_edited_file_is_refused_before_it_runs(bundle: Path, tmp_path: Path) -> None:
    source = bundle / "src" / "service.py"
    source.chmod(0o644)
    trace = tmp_path / "it-ran"
    source.write_text(f"open({str(trace)!r}, 'w')\n" + SERVICE)
    with pytest.raises(ServeFailedError, match=r"src/service\.py") as refusal, Server("greeter:latest"):
        pass
    assert refusal.value.code == 1
    assert not trace.exists()


def test_a_file_that_nobody_listed_is_refused(bundle: Path) -> None:
    (bundle / "src").chmod(0o755)
    (bundle / "src" / "extra.py").write_text("")
    with pytest.raises(ServeFailedError, match=r"extra\.py"), Server(bundle):
        pass
