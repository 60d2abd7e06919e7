"""Every error that the disk can give, at every call: the old state stays."""

from __future__ import annotations

import errno
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiffin.bundler import models
from tiffin.errors import StoreError


class Sized:
    def __init__(self, size_bytes: int) -> None:
        self.payload = os.urandom(size_bytes)

    def predict(self, rows: list[int]) -> list[int]:
        return rows


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_the_old_state(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(small_disk))
    first = models.save("blob", Sized(100_000))
    with pytest.raises(StoreError, match=r"No space left on device.*free some space.*nothing was changed"):
        models.save("blob", Sized(300_000))
    assert [model.tag for model in models.list()] == [first.tag]
    assert list((small_disk / "models" / ".tmp").iterdir()) == []
    first.verify()
    with pytest.raises(OSError, match="No space"), (small_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 4096):
            pass
    models.delete(first.tag)  # works on a disk without a free byte
    assert models.list() == []


@pytest.mark.parametrize("place", range(11))
def test_an_error_at_any_call_keeps_the_old_state(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    monkeypatch.setattr(models, "provenance", dict)  # it opens pipes to git
    first = models.save("blob", Sized(1000))
    countdown = [place]
    failed = []

    def failing(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            # Descriptors are only synced and made read-only by the store; paths may be anybody's.
            # Making a folder that exists fails anyway, and nobody minds.
            mine = isinstance(args[0], int) or str(tmp_path) in str(args[0])
            if mine and not (original.__name__ == "mkdir" and Path(args[0]).exists()):
                countdown[0] -= 1
                if countdown[0] == -1:
                    failed.append(original.__name__)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("mkdir", "fsync", "fchmod", "rename"):
            patch.setattr(os, name, failing(getattr(os, name)))
        patch.setattr(io, "open", failing(io.open))  # what pathlib opens with
        with pytest.raises(StoreError):
            models.save("blob", Sized(1000))
    assert failed
    assert [model.tag for model in models.list()] == [first.tag]
    assert list((tmp_path / "models" / ".tmp").iterdir()) == []
    first.load()
