"""Settings that somebody else wrote are refused by their size, before they are read."""

from __future__ import annotations

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tiffin.bundler.model_files.load import open_file
from tiffin.bundler.model_files.recognise import known_model, recognise
from tiffin.errors import ModelError
from tiffin.runtime.model import settings_file
from tiffin.runtime.model.exported_files import why_pickled
from tiffin.runtime.model.hub_folder import check_safe
from tiffin.runtime.model.settings_file import archived_bytes, check_expansion, json_value, settings_bytes
from tiffin.runtime.model.task_of import task_of

BIG = 300 * 1024 * 1024
PART = bytes(1024 * 1024)


def holed(path: Path) -> Path:
    """A file of 300 MB that takes no room on the disk."""
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(BIG)
    return path


def archive(path: Path, names: dict[str, int]) -> Path:
    """A deflated archive of files of zeros, so many bytes each."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for name, size in names.items():
            with made.open(name, "w") as file:
                for _ in range(0, size, len(PART)):
                    file.write(PART[: min(size, len(PART))])
    return path


def peak_bytes(refused: Callable[[], object], match: str) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match=match):
            refused()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "refused",
    [
        lambda folder: settings_bytes(folder / "config.json"),
        task_of,
        recognise,
        check_safe,
    ],
)
def test_a_large_file_of_a_folder(refused: Callable[[Path], object], tmp_path: Path) -> None:
    holed(tmp_path / "config.json")
    (tmp_path / "model.safetensors").touch()
    used = peak_bytes(lambda: refused(tmp_path), r"config\.json has 314,572,800 bytes")
    assert used < 1024 * 1024


def test_a_large_file_of_an_archive(tmp_path: Path) -> None:
    keras = {"metadata.json": 2, "config.json": BIG, "model.weights.h5": 2}
    path = archive(tmp_path / "net.keras", keras)
    exported = {"n/archive_format": 3, "n/models/model.json": 2, "n/data/weights/list.json": BIG}
    program = archive(tmp_path / "net.pt2", exported)
    assert path.stat().st_size + program.stat().st_size < 4 * 1024 * 1024
    assert peak_bytes(lambda: open_file(path, "keras", {}), "config.json has 314,572,800 bytes") < len(PART)
    assert peak_bytes(lambda: why_pickled(program), "list.json has 314,572,800 bytes") < len(PART)


def test_an_archive_that_unpacks_to_far_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "net.keras", {"model.weights.h5": 16 * len(PART)})
    check_expansion(path)  # of a few MB, zeros are no attack
    monkeypatch.setattr(settings_file, "_UNPACKED_FREE_BYTES", 1000)
    with pytest.raises(ModelError, match="unpacks to 16,777,216"):
        open_file(path, "keras", {})
    (tmp_path / "plain").write_bytes(b"no archive")
    check_expansion(tmp_path / "plain")


def test_deep_and_broken_json_are_said_to_be_damaged(tmp_path: Path) -> None:
    for text in (b"[" * 100_000, b'{"a":', b"\xff\xfe", b""):
        with pytest.raises(ModelError, match="the text is damaged"):
            json_value(text, "the text")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("config.json", '{"a": 1}')
    assert archived_bytes(tmp_path / "a.zip", "config.json") == b'{"a": 1}'
    with pytest.raises(ModelError, match=r"has no other\.json"):
        archived_bytes(tmp_path / "a.zip", "other.json")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(b'{"a"')] ^= 1
    (tmp_path / "b.zip").write_bytes(data)
    with pytest.raises(ModelError, match=r"config\.json in the archive cannot be read: Bad CRC"):
        archived_bytes(tmp_path / "b.zip", "config.json")


def test_a_forest_of_skops_is_known_by_the_beginning_of_its_list(tmp_path: Path) -> None:
    listed = '{\n "__class__": "Forest",\n "__module__": "a",\n "__loader__": "ObjectNode", "trees": "'
    with zipfile.ZipFile(tmp_path / "forest.skops", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("schema.json", listed + "a" * 8_000_000)
    assert known_model(tmp_path / "forest.skops").framework == "skops"
