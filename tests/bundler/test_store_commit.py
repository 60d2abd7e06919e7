from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from tiffin.bundler.draft import Draft
from tiffin.bundler.store import Store
from tiffin.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidTagError,
    NotFoundError,
    StoreError,
)
from tiffin.runtime.tag import Tag


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models", "model.yaml")


def put(store: Store, name: str = "iris", version: str | None = None, text: str = "hello") -> Path:
    with store.begin() as draft:
        (draft.folder / "deep").mkdir()
        (draft.folder / "deep" / "weights.bin").write_text(text)
        return draft.commit(name, version, finish=lambda allotted: manifest(draft, allotted))


def manifest(draft: Draft, version: str) -> None:
    (draft.folder / "model.yaml").write_text(version)


def test_a_version_lies_under_its_name_and_is_read_only(store: Store) -> None:
    path = put(store)
    assert path.parent == store.root / "iris"
    assert (path / "model.yaml").read_text() == path.name
    for file in (path / "model.yaml", path / "deep" / "weights.bin"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o444
    assert list((store.root / ".tmp").iterdir()) == []


def test_versions_sort_by_time_and_latest_is_the_last(store: Store) -> None:
    paths = [put(store) for _ in range(5)]
    assert store.versions("iris") == [path.name for path in paths]
    assert store.path("iris") == store.path("iris:latest") == paths[-1]
    assert store.path(f"iris:{paths[1].name}") == paths[1]


def test_an_own_version_is_taken_once(store: Store) -> None:
    put(store, version="v1")
    with pytest.raises(AlreadyExistsError, match="iris:v1 exists"):
        put(store, version="v1", text="other")
    assert (store.path("iris:v1") / "deep" / "weights.bin").read_text() == "hello"
    with pytest.raises(InvalidTagError, match="latest"):
        put(store, version="latest")


@pytest.mark.parametrize("name", ["..", "../iris", "a/b", ".tmp", "", "iris\n", "Iris", "x" * 64, "a\0b"])
def test_names_cannot_leave_the_store(store: Store, name: str) -> None:
    for attempt in (lambda: put(store, name=name), lambda: put(store, version=name or "../x")):
        with pytest.raises(InvalidTagError):
            attempt()
    assert store.names() == []


def test_a_short_version_is_enough_when_it_is_unique(store: Store) -> None:
    put(store, version="abcdef1")
    put(store, version="abcdef2")
    put(store, version="abcxyz9")
    assert store.resolve("iris:abcxyz") == Tag("iris", "abcxyz9")
    with pytest.raises(InvalidTagError, match="abcdef1, abcdef2"):
        store.resolve("iris:abcdef")
    with pytest.raises(NotFoundError):  # five characters are too few
        store.resolve("iris:abcxy")


def test_what_does_not_exist_is_named_with_the_nearest(store: Store) -> None:
    with pytest.raises(NotFoundError, match="holds no models"):
        store.resolve("iris")
    put(store)
    with pytest.raises(NotFoundError, match="did you mean 'iris'"):
        store.resolve("irsi")
    with pytest.raises(NotFoundError, match="iris has"):
        store.resolve("iris:nothere")


def test_delete_takes_one_version_and_the_empty_name(store: Store) -> None:
    first, second = put(store), put(store)
    assert store.delete("iris") == Tag("iris", second.name)
    assert store.versions("iris") == [first.name]
    store.delete(f"iris:{first.name}")
    assert store.names() == []
    assert not (store.root / "iris").exists()
    with pytest.raises(NotFoundError):
        store.delete("iris")


def test_delete_hides_a_version_before_it_removes_a_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(store)
    seen = []
    remove = shutil.rmtree

    def watched(folder: Path, **options: Any) -> None:
        if folder.exists():
            seen.append((store.versions("iris"), (folder / "deep" / "weights.bin").read_text()))
        remove(folder, **options)

    monkeypatch.setattr(shutil, "rmtree", watched)
    store.delete(f"iris:{path.name}")
    assert seen == [([], "hello")]


def test_a_draft_that_is_not_committed_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.begin() as draft:
        (draft.folder / "weights.bin").write_text("half")
        raise RuntimeError
    assert list((store.root / ".tmp").iterdir()) == []
    assert store.names() == []


def test_the_manifest_is_written_under_the_lock(store: Store) -> None:
    held = []

    def finish(version: str) -> None:
        with (store.root / ".lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(version)

    with store.begin() as draft:
        (draft.folder / "model.yaml").touch()
        path = draft.commit("iris", None, finish)
    assert held == [path.name]


def test_threads_that_save_at_once_all_get_a_version(store: Store) -> None:
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        for _ in range(5):
            put(store)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = store.versions("iris")
    assert len(versions) == len(set(versions)) == 20


def test_sweep_takes_what_is_dead_and_leaves_what_lives(store: Store) -> None:
    with store.begin() as draft:
        (draft.folder / "weights.bin").write_text("in the making")
        dead = store.root / ".tmp" / "999-dead"
        dead.mkdir()
        (dead / "file").touch()
        dead.with_name("999-dead.lock").touch()
        orphan = store.root / ".tmp" / "998-orphan"
        orphan.mkdir()
        assert store.sweep() == 2
        assert sorted(path.name for path in (store.root / ".tmp").iterdir()) == sorted(
            [draft.folder.name, f"{draft.folder.name}.lock"]
        )
        assert (draft.folder / "weights.bin").read_text() == "in the making"


def test_add_hashes_while_it_copies(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "run.sh"
    source.write_bytes(b"abc")
    source.chmod(0o755)
    with store.begin() as draft:
        entry = draft.add(source, "bin/run.sh")
        assert entry.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        assert (entry.size_bytes, entry.mode, entry.path) == (3, "755", "bin/run.sh")
        assert draft.entries() == [entry]
        path = draft.commit("iris", None, lambda version: manifest(draft, version))
    assert stat.S_IMODE((path / "bin" / "run.sh").stat().st_mode) == 0o555


def test_link_shares_the_bytes(store: Store) -> None:
    source = put(store) / "deep" / "weights.bin"
    with store.begin() as draft:
        draft.link(source, "models/weights.bin")
        path = draft.commit("other", None, lambda version: manifest(draft, version))
    assert (path / "models" / "weights.bin").samefile(source)


def test_link_copies_where_the_file_system_cannot(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    source = put(store) / "deep" / "weights.bin"

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with store.begin() as draft:
        draft.link(source, "weights.bin")
        copy = draft.folder / "weights.bin"
        assert copy.read_text() == "hello"
        assert not copy.samefile(source)


@pytest.mark.parametrize("path", ["../out", "/abs", "a//b", "a/../../b", "", "a\\b", "."])
def test_paths_cannot_leave_the_draft(store: Store, tmp_path: Path, path: str) -> None:
    source = tmp_path / "file"
    source.touch()
    with store.begin() as draft:
        for put_in in (draft.add, draft.link):
            with pytest.raises(IntegrityError):
                put_in(source, path)


def test_links_are_refused(store: Store) -> None:
    with pytest.raises(IntegrityError, match="link"), store.begin() as draft:
        (draft.folder / "passwd").symlink_to("/etc/passwd")
        draft.commit("iris", None, lambda version: manifest(draft, version))
    assert store.names() == []


def test_a_folder_without_manifest_is_no_version(store: Store) -> None:
    put(store)
    (store.root / "iris" / "zzz").mkdir()
    (store.root / "other").mkdir()
    (store.root / "notes.txt").touch()
    assert store.names() == ["iris"]
    assert "zzz" not in store.versions("iris")


def test_an_error_of_the_disk_is_explained(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for call in ("fsync", "fchmod"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(StoreError, match="free some space"):
                put(store)
    assert len(store.versions("iris")) == 1
    assert list((store.root / ".tmp").iterdir()) == []


def test_an_error_elsewhere_is_not_blamed_on_the_store(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), store.begin() as draft:
        draft.add(tmp_path / "missing", "file")
