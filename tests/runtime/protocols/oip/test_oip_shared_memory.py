"""Memory of callers: who may register what, and what is read and written there."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tiffin.errors import InvalidInputError, PayloadTooLargeError
from tiffin.runtime.protocols.oip.shared_memory import MAX_REGIONS, SharedMemory, UnknownRegionError
from tiffin.runtime.protocols.oip.unsupported import UnsupportedError

LIMIT = 1024 * 1024


class Yard:
    """A run folder, and a folder that stands in for /dev/shm."""

    def __init__(self, folder: Path) -> None:
        self.objects = folder / "shm"
        self.objects.mkdir()
        self.run = folder / "run"
        self.run.mkdir()
        self.memory = self.process()

    def process(self, allowed: bool = True) -> SharedMemory:
        """Another API process of the same server."""
        return SharedMemory(self.run, allowed=allowed, limit_bytes=LIMIT, objects=self.objects)

    def make(self, key: str = "/x", data: bytes = bytes(range(16))) -> Path:
        path = self.objects / key[1:]
        path.write_bytes(data)
        return path


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_what_is_registered_can_be_read_and_written(yard: Yard) -> None:
    path = yard.make()
    yard.memory.register("in", "/x", 4, 8)
    assert yard.memory.status() == [{"name": "in", "key": "/x", "offset": 4, "byte_size": 8}]
    assert bytes(yard.memory.read("in", 2, 3)) == bytes([6, 7, 8])
    yard.memory.write("in", 6, 2, b"\xff")
    assert path.read_bytes()[10:12] == b"\xff\x0b"


def test_more_than_a_body_may_have_is_not_read(yard: Yard) -> None:
    yard.make(data=bytes(LIMIT + 1))
    yard.memory.register("in", "/x", 0, LIMIT + 1)
    assert len(yard.memory.read("in", 0, LIMIT)) == LIMIT
    with pytest.raises(PayloadTooLargeError, match=str(LIMIT)):
        yard.memory.read("in", 0, LIMIT + 1)


def test_a_registration_holds_in_every_process(yard: Yard) -> None:
    yard.make()
    other = yard.process()
    assert other.status() == []
    for round_ in range(50):  # faster than any clock of a file system
        yard.memory.register("in", "/x", round_ % 8, 8)
        assert other.status("in")[0]["offset"] == round_ % 8
        assert bytes(other.read("in", 0, 1)) == bytes([round_ % 8])
        other.unregister("in")
        with pytest.raises(UnknownRegionError, match="Unable to find shared memory region: 'in'"):
            yard.memory.read("in", 0, 1)
    assert yard.process().status() == [], "one that starts later sees the same"


def test_several_processes_may_register_at_once(yard: Yard) -> None:
    yard.make()
    workers = [
        threading.Thread(
            target=lambda at: [yard.process().register(f"{at}-{n}", "/x", 0, 1) for n in range(20)],
            args=(number,),
        )
        for number in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(yard.memory.status()) == 80


def test_unregister_takes_one_or_all_and_does_not_mind_unknown_ones(yard: Yard) -> None:
    yard.make()
    for name in ("a", "b", "c"):
        yard.memory.register(name, "/x", 0, 1)
    yard.memory.unregister("a")
    yard.memory.unregister("a")
    assert [each["name"] for each in yard.memory.status()] == ["b", "c"]
    yard.memory.unregister()
    assert yard.memory.status() == []


@pytest.mark.parametrize(
    "key", ["", "/", "..", "/..", "/../x", "/a/../b", "/a/b", "//x", "/a..b", "/x\0", "."]
)
def test_a_key_leads_nowhere_else(yard: Yard, key: str) -> None:
    yard.make()
    (yard.objects.parent / "x").write_bytes(b"secret")
    with pytest.raises(InvalidInputError, match="no key of shared memory"):
        yard.memory.register("in", key, 0, 1)


def test_only_objects_are_opened(yard: Yard, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (yard.objects / "link").symlink_to(secret)
    (yard.objects / "folder").mkdir()
    os.mkfifo(yard.objects / "pipe")
    for key in ("/link", "/folder", "/pipe", "/nothing"):
        with pytest.raises(InvalidInputError, match="Unable to open shared memory region 'in'"):
            yard.memory.register("in", key, 0, 1)
    assert yard.memory.status() == []


@pytest.mark.parametrize(
    ("offset", "size"), [(0, 17), (16, 1), (17, 1), (-1, 4), (0, 0), (0, -1), (2**62, 2**62)]
)
def test_a_region_lies_in_its_object(yard: Yard, offset: int, size: int) -> None:
    yard.make()
    with pytest.raises(InvalidInputError, match="failed to register shared memory region 'in'"):
        yard.memory.register("in", "/x", offset, size)


def test_a_name_is_registered_once(yard: Yard) -> None:
    yard.make()
    yard.memory.register("in", "/x", 0, 1)
    with pytest.raises(InvalidInputError, match="shared memory region 'in' already in manager"):
        yard.process().register("in", "/x", 0, 1)
    for name in ("", "n" * 256):
        with pytest.raises(InvalidInputError, match="1 to 255 characters"):
            yard.memory.register(name, "/x", 0, 1)


@pytest.mark.parametrize(("offset", "size"), [(0, 9), (8, 1), (-1, 2), (4, 2**62), (0, -1)])
def test_nothing_beyond_a_region_is_read_or_written(yard: Yard, offset: int, size: int) -> None:
    path = yard.make()
    before = path.read_bytes()
    yard.memory.register("in", "/x", 4, 8)
    with pytest.raises(InvalidInputError, match="Invalid offset"):
        yard.memory.read("in", offset, size)
    with pytest.raises(InvalidInputError, match="Invalid offset"):
        yard.memory.write("in", offset, size, b"")
    assert path.read_bytes() == before


def test_an_output_that_is_too_large_for_its_place(yard: Yard) -> None:
    path = yard.make()
    yard.memory.register("out", "/x", 0, 16)
    with pytest.raises(InvalidInputError, match=r"should be at least 5 bytes"):
        yard.memory.write("out", 0, 4, b"12345")
    assert path.read_bytes() == bytes(range(16))


def test_memory_that_was_cut_off_ends_the_request_not_the_process(yard: Yard) -> None:
    path = yard.make(data=bytes(1024 * 1024))
    yard.memory.register("in", "/x", 0, 1024 * 1024)
    os.truncate(path, 100)
    with pytest.raises(InvalidInputError, match="cut off"):
        yard.memory.read("in", 0, 4096)
    with pytest.raises(InvalidInputError, match="cut off"):
        yard.memory.write("in", 4096, 10, b"x")
    assert path.stat().st_size == 100, "an answer must not make it grow"


def test_another_object_of_the_same_name_is_not_what_was_registered(yard: Yard) -> None:
    path = yard.make()
    yard.memory.register("in", "/x", 0, 1)
    path.rename(yard.objects / "old")
    yard.make()
    with pytest.raises(InvalidInputError, match="another object"):
        yard.memory.read("in", 0, 1)


def test_it_must_be_allowed(yard: Yard) -> None:
    yard.make()
    memory = yard.process(allowed=False)
    for refused in (
        lambda: memory.register("in", "/x", 0, 1),
        lambda: memory.read("in", 0, 1),
        lambda: memory.write("in", 0, 1, b""),
    ):
        with pytest.raises(UnsupportedError, match="--allow-client-shm"):
            refused()
    memory.unregister()
    assert memory.status() == []
    assert list(yard.run.iterdir()) == []


def test_there_are_not_endless_regions(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.make()
    assert MAX_REGIONS >= 256
    monkeypatch.setattr("tiffin.runtime.protocols.oip.shared_memory.MAX_REGIONS", 2)
    yard.memory.register("a", "/x", 0, 1)
    yard.memory.register("b", "/x", 0, 1)
    with pytest.raises(InvalidInputError, match="unregister some"):
        yard.memory.register("c", "/x", 0, 1)
