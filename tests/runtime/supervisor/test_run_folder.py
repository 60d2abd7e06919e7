from __future__ import annotations

import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tiffin.errors import ServerError
from tiffin.runtime.supervisor.run_folder import RunFolder


def test_it_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert (folder.path / "metrics").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_socket_of_it_can_be_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Even where the user's folder leaves no room for the name of a socket."""
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with RunFolder() as folder, socket.socket(socket.AF_UNIX) as opened:
        opened.bind(folder.socket_path(2**32 - 1))


def test_xdg_runtime_dir_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parent = Path("/tmp") / f"t{tmp_path_factory.getbasetemp().name[-8:]}"
    parent.mkdir(exist_ok=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(parent))
    try:
        with RunFolder() as folder:
            assert folder.path.parent == parent
    finally:
        parent.rmdir()


DIES = """
import os, pathlib, sys
from tiffin.runtime.supervisor.run_folder import RunFolder
folder = RunFolder(pathlib.Path(sys.argv[1]))
print(folder.path, flush=True)
os.kill(os.getpid(), 9)
"""


def test_folders_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", DIES, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout.strip()
    assert Path(dead).is_dir()
    (tmp_path / "tiffin-of-somebody-else").mkdir()
    with RunFolder(tmp_path) as living, RunFolder(tmp_path) as second:
        assert not Path(dead).exists()
        assert living.path.is_dir()
        assert second.path.is_dir()
        assert (tmp_path / "tiffin-of-somebody-else").is_dir()


def test_no_place_to_write(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="XDG_RUNTIME_DIR"):
        RunFolder(tmp_path / "missing")
