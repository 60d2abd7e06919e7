"""Somewhere to write, whatever the image leaves."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tiffin.errors import ServerError
from tiffin.runtime.private_places import make_places


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_home_that_can_be_written_stays(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    before = dict(environ)
    assert make_places(environ) == []
    assert environ == before


@pytest.mark.parametrize("home", ["", "/nowhere", "/proc", "/dev/null"])
def test_another_home(home: str, temporary: Path) -> None:
    environ = {"HOME": home} if home else {}
    assert make_places(environ) == ["HOME"]
    made = Path(environ["HOME"])
    assert made == temporary / f"home-{os.getuid()}"
    assert made.stat().st_mode & 0o777 == 0o700
    (made / "cache").write_text("")
    again = {"HOME": home}
    make_places(again)
    assert (Path(again["HOME"]) / "cache").exists(), "caches stay warm over a restart"


def test_places_that_are_named_follow(temporary: Path) -> None:
    environ = {"HOME": "/nowhere", "XDG_CACHE_HOME": "/nowhere/cache", "XDG_RUNTIME_DIR": "/run/user/x"}
    assert make_places(environ) == ["HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"]
    assert environ["XDG_CACHE_HOME"] == f"{environ['HOME']}/.cache"
    assert "XDG_RUNTIME_DIR" not in environ


def test_what_another_put_in_the_way_is_not_used(temporary: Path, tmp_path: Path) -> None:
    """The temporary folder is everybody's: a link of that name leads somewhere else."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (temporary / f"home-{os.getuid()}").symlink_to(elsewhere)
    environ: dict[str, str] = {}
    make_places(environ)
    assert Path(environ["HOME"]).parent == temporary
    assert Path(environ["HOME"]).resolve() != elsewhere


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
def test_the_folder_of_another_user_is_not_used(temporary: Path) -> None:
    folder = temporary / f"home-{os.getuid()}"
    folder.mkdir()
    os.chown(folder, 12345, -1)
    environ: dict[str, str] = {}
    make_places(environ)
    assert Path(environ["HOME"]) != folder


def test_nowhere_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(ServerError, match="--tmpfs /tmp"):
        make_places({})
