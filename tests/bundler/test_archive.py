from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import os
import random
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parcels import FILES, MANIFEST, content, entry, make_folder, manifest_of, parse, regular, tar_of, unpack

from tiffin.bundler.archive import MAX_MANIFEST_BYTES
from tiffin.bundler.archive_reading import read_archive
from tiffin.bundler.archive_writing import write_archive
from tiffin.errors import IntegrityError, StoreError, TiffinError, UsageError
from tiffin.runtime.manifest import FileEntry


@pytest.mark.parametrize("name", ["out.tar", "out.tar.gz", "out.tgz"])
def test_what_was_written_is_read_again(tmp_path: Path, name: str) -> None:
    folder, into = tmp_path / "from", tmp_path / "into"
    into.mkdir()
    entries = make_folder(folder)
    steps: list[tuple[int, int]] = []
    archive = write_archive(folder, MANIFEST, entries, tmp_path / name, lambda *step: steps.append(step))
    assert steps[-1] == (sum(map(len, FILES.values())),) * 2
    assert (archive.read_bytes()[:2] == b"\x1f\x8b") == (name != "out.tar")
    steps.clear()
    read_archive(archive, MANIFEST, into, parse, lambda *step: steps.append(step))
    assert content(into) == content(folder)
    assert stat.S_IMODE((into / "run.sh").stat().st_mode) & 0o100
    assert not stat.S_IMODE((into / "a.txt").stat().st_mode) & 0o111
    assert steps
    assert all(0 < done <= total for done, total in steps)


@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
def test_equal_content_makes_equal_bytes(tmp_path: Path, suffix: str) -> None:
    archives = []
    for host, umask in (("one", 0o022), ("two", 0o077)):
        before = os.umask(umask)
        try:
            entries = make_folder(tmp_path / host)
        finally:
            os.umask(before)
        os.utime(tmp_path / host / "a.txt", (umask, umask))
        random.Random(umask).shuffle(entries)
        path = tmp_path / host / f"{host}{suffix}"
        (tmp_path / host / MANIFEST).write_bytes(manifest_of(sorted(entries, key=lambda one: one.path)))
        archives.append(write_archive(tmp_path / host, MANIFEST, entries, path).read_bytes())
    assert archives[0] == archives[1]


def test_other_tar_programs_can_read_it(tmp_path: Path) -> None:
    files = {**FILES, "é" * 60 + "/" + "n" * 200: b"long", "x" * 99 + "/" + "y" * 99: b"prefix"}
    entries = make_folder(tmp_path / "from", files)
    archive = write_archive(tmp_path / "from", MANIFEST, entries, tmp_path / "out.tar")
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert names == [MANIFEST, *sorted(files)]
    into = tmp_path / "into"
    into.mkdir()
    read_archive(archive, MANIFEST, into, parse)
    assert content(into) == content(tmp_path / "from")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "a.txt").write_bytes(b"ALPHA\n"),
        lambda folder: (folder / "a.txt").write_bytes(b"alpha"),
        lambda folder: (folder / "a.txt").unlink(),
    ],
)
def test_a_damaged_folder_is_not_exported(tmp_path: Path, damage: object) -> None:
    entries = make_folder(tmp_path / "from")
    assert callable(damage)
    damage(tmp_path / "from")
    target = tmp_path / "to" / "out.tar"
    target.parent.mkdir()
    target.write_bytes(b"the one before")
    with pytest.raises(IntegrityError, match=r"a\.txt"):
        write_archive(tmp_path / "from", MANIFEST, entries, target)
    assert content(target.parent) == {"out.tar": b"the one before"}


def test_a_manifest_that_no_reader_takes_is_not_written(tmp_path: Path) -> None:
    make_folder(tmp_path, {})
    (tmp_path / MANIFEST).write_bytes(b" " * (MAX_MANIFEST_BYTES + 1))
    with pytest.raises(StoreError, match="fewer files"):
        write_archive(tmp_path, MANIFEST, [], tmp_path / "out.tar")
    assert not (tmp_path / "out.tar").exists()


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    entries = make_folder(tmp_path / "from")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        write_archive(tmp_path / "from", MANIFEST, entries, tmp_path / "file" / "out.tar")
    with pytest.raises(StoreError, match="cannot read"):
        read_archive(tmp_path / "none.tar", MANIFEST, tmp_path, parse)


def test_a_device_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    entries = make_folder(tmp_path / "from")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "from"):
        with pytest.raises(StoreError, match="is no file"):
            write_archive(tmp_path / "from", MANIFEST, entries, path)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_link_stays_one(tmp_path: Path) -> None:
    entries = make_folder(tmp_path / "from")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/a.tar").write_bytes(b"old")
    (tmp_path / "link.tar").symlink_to("disk/a.tar")
    write_archive(tmp_path / "from", MANIFEST, entries, tmp_path / "link.tar")
    assert (tmp_path / "link.tar").is_symlink()
    assert tarfile.is_tarfile(tmp_path / "disk/a.tar")
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["a.tar"]


def test_what_a_killed_export_left_goes_with_the_next(tmp_path: Path) -> None:
    entries = make_folder(tmp_path / "from")
    dead, living = tmp_path / ".a.tar.1.partial", tmp_path / ".a.tar.2.partial"
    other = tmp_path / ".b.tar.1.partial"
    for path in (dead, living, other):
        path.write_bytes(b"half")
    with living.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        write_archive(tmp_path / "from", MANIFEST, entries, tmp_path / "a.tar")
    assert not dead.exists()
    assert living.exists()
    assert other.exists()


def test_headers_that_other_programs_add_do_no_harm(tmp_path: Path) -> None:
    data = b"alpha"
    manifest = manifest_of([entry("a.txt", data)])
    info, _ = regular("a.txt", data)
    info.mtime = 1.5
    info.uname = "nobody"
    archive = tar_of(regular(MANIFEST, manifest), (info, data))
    assert unpack(archive, tmp_path / "x") == {MANIFEST: manifest, "a.txt": data}
    assert unpack(gzip.compress(archive), tmp_path / "y") == {MANIFEST: manifest, "a.txt": data}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, dict[str, bytes]]]:
    folder = tmp_path_factory.mktemp("good")
    files = {**FILES, "long/" + "n" * 150: b"needs an extended header"}
    entries = make_folder(folder / "from", files)
    made = {}
    for suffix in (".tar", ".tgz"):
        path = write_archive(folder / "from", MANIFEST, entries, folder / f"out{suffix}")
        made[suffix] = (path.read_bytes(), content(folder / "from"))
    return made


def _unchanged_or_refused(data: bytes, expected: dict[str, bytes], folder: Path) -> None:
    """Whatever was done to the archive: all of its content, or an error; nothing outside of the folder."""
    with contextlib.suppress(TiffinError):
        assert unpack(data, folder) == expected
    assert sorted(path.name for path in folder.iterdir()) == ["in.tar", "sandbox"]
    assert [path.name for path in (folder / "sandbox").iterdir()] == ["into"]
    assert not any(path.is_symlink() for path in (folder / "sandbox").rglob("*"))


@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.floats(0, 0.999999), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.one_of(st.none(), st.floats(0, 1)),
    twice=st.booleans(),
)
def test_random_damage(
    good: dict[str, tuple[bytes, dict[str, bytes]]],
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    changes: list[tuple[float, int]],
    cut: float | None,
    twice: bool,
) -> None:
    original, expected = good[suffix]
    data = bytearray(original)
    for place, value in changes:
        data[int(place * len(data))] = value
    if cut is not None:
        del data[int(cut * len(data)) :]
    if twice:
        data += original
    _unchanged_or_refused(bytes(data), expected, tmp_path_factory.mktemp("fuzz") / "x")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    block=st.integers(0, 200),
    place=st.integers(0, 511),
    value=st.binary(min_size=1, max_size=40),
)
def test_damaged_headers_with_right_checksums(
    good: dict[str, tuple[bytes, dict[str, bytes]]],
    tmp_path_factory: pytest.TempPathFactory,
    block: int,
    place: int,
    value: bytes,
) -> None:
    """Random bytes seldom pass the checksum of a header; a hostile author computes it."""
    original, expected = good[".tar"]
    data = bytearray(original)
    headers = [start for start in range(0, len(data), 512) if data[start + 257 : start + 262] == b"ustar"]
    start = headers[block % len(headers)]
    data[start + place : start + place + len(value)] = value
    header = data[start : start + 512]
    header[148:156] = b" " * 8
    data[start + 148 : start + 156] = b"%06o\0 " % sum(header)
    _unchanged_or_refused(bytes(data), expected, tmp_path_factory.mktemp("fuzz") / "x")


@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
def test_every_cut_is_seen(
    good: dict[str, tuple[bytes, dict[str, bytes]]], tmp_path: Path, suffix: str
) -> None:
    original, _expected = good[suffix]
    used = len(original.rstrip(b"\0")) if suffix == ".tar" else len(original)
    for number, cut in enumerate(range(0, used, max(1, used // 60))):
        with pytest.raises(IntegrityError):
            unpack(original[:cut], tmp_path / str(number))


def test_the_digest_is_of_the_bytes(tmp_path: Path) -> None:
    data = b"alpha"
    wrong = entry("a.txt", data)
    wrong.sha256 = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(IntegrityError, match="not what its digest says"):
        unpack(tar_of(regular(MANIFEST, manifest_of([wrong])), regular("a.txt", data)), tmp_path / "x")


def test_files_of_other_content_have_other_times(tmp_path: Path) -> None:
    """BuildKit takes a file of the same time and size for the same, and would build with the old one."""
    times = []
    for number, data in enumerate((b"one", b"two", b"one")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "a").write_bytes(data)
        listed = FileEntry(path="a", size_bytes=3, sha256=hashlib.sha256(data).hexdigest())
        (folder / "m.yaml").write_bytes(b"m" + data)
        path = write_archive(folder, "m.yaml", [listed], folder / "x.tar")
        with tarfile.open(path) as tar:
            times.append([member.mtime for member in tar])
    assert times[0] == times[2]
    assert all(one != other for one, other in zip(times[0], times[1], strict=True))


@pytest.mark.parametrize("name", ["iris.zip", "iris.tar.bz2", "iris.tar.zst"])
def test_a_name_that_promises_another_kind_of_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        UsageError, match=r"an archive is a tar: call it iris\.tar, iris\.tar\.gz or iris\.tgz"
    ):
        write_archive(tmp_path, MANIFEST, [], tmp_path / name)
    assert not (tmp_path / name).exists()
