"""Archives from strangers: each is refused, and nothing is written but what the caller throws away."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
import tracemalloc
from pathlib import Path

import pytest
from parcels import MANIFEST, entry, manifest_of, parse, regular, special, tar_of, unpack

from tiffin.bundler import archive_reading
from tiffin.bundler.archive import MAX_MANIFEST_BYTES
from tiffin.bundler.archive_reading import read_archive
from tiffin.bundler.tar import MAX_EXTENDED_BYTES
from tiffin.errors import IntegrityError, StoreError, UnsafeArchiveError

DATA = b"alpha"
GOOD = regular(MANIFEST, manifest_of([entry("a.txt", DATA)]))
A = regular("a.txt", DATA)

BAD_PATHS = [
    "/etc/passwd",
    "//host/share",
    "../up",
    "a/../../up",
    "a/..",
    "./a",
    "a//b",
    "a/",
    "",
    ".",
    "..",
    "..\\up",
    "a\\b",
    "C:/x",
    "c:x",
    "nul\0byte",
    "new\nline",
    "bell\x07",
    "rtl\u202etxt.exe",
    "x" * 300,
    "/".join(["x" * 100] * 20),
    MANIFEST,
    MANIFEST.upper(),
]


def refuse(data: bytes, folder: Path, match: str, error: type[IntegrityError] = UnsafeArchiveError) -> None:
    with pytest.raises(error, match=match):
        unpack(data, folder)
    assert {path.name for path in folder.parent.iterdir()} <= {"x", "y", "z"}
    written = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    assert all(path.name == "in.tar" or path.is_relative_to(folder / "sandbox/into") for path in written)
    assert not any(path.is_symlink() for path in written)


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_manifest_with_a_hostile_path(tmp_path: Path, path: str) -> None:
    data = manifest_of([entry("a.txt", DATA), entry(path, DATA)])
    refuse(
        tar_of(regular(MANIFEST, data), A, regular(path or "x", DATA)), tmp_path / "x", "hostile or damaged"
    )
    assert not (tmp_path / "x/sandbox/into" / MANIFEST).exists()


@pytest.mark.parametrize(
    "paths",
    [["a", "A"], ["a", "a"], ["stra\u00dfe", "STRASSE"], ["e\u0301", "\u00e9"], ["a", "a/b"], ["A", "a/b"]],
)
def test_a_manifest_with_two_names_for_one_file(tmp_path: Path, paths: list[str]) -> None:
    data = manifest_of([entry(path, DATA) for path in paths])
    members = [regular(path, DATA) for path in paths]
    refuse(tar_of(regular(MANIFEST, data), *members), tmp_path / "x", "hostile or damaged")


@pytest.mark.parametrize("field", [{"size_bytes": -1}, {"sha256": "../x"}, {"sha256": ""}, {"mode": "4755"}])
def test_a_manifest_with_a_bad_field(tmp_path: Path, field: dict[str, object]) -> None:
    bad = entry("a.txt", DATA)
    for name, value in field.items():
        setattr(bad, name, value)
    refuse(tar_of(regular(MANIFEST, manifest_of([bad])), A), tmp_path / "x", "bad size, digest or mode")


@pytest.mark.parametrize("path", ["../../up", "/tmp/absolute", "b.txt", "A.txt", "sub/a.txt", "C:\\a.txt"])
def test_a_file_that_the_manifest_does_not_name(tmp_path: Path, path: str) -> None:
    refuse(tar_of(GOOD, A, regular(path, DATA)), tmp_path / "x", "not in its manifest")
    refuse(tar_of(GOOD, regular(path, DATA), A), tmp_path / "y", "not in its manifest")


def test_a_file_that_comes_twice(tmp_path: Path) -> None:
    refuse(tar_of(GOOD, A, A), tmp_path / "x", "twice")
    refuse(tar_of(GOOD, GOOD, A), tmp_path / "y", "not in its manifest")


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    refuse(tar_of(GOOD), tmp_path / "x", "is missing", IntegrityError)


@pytest.mark.parametrize("data", [DATA + b"!", DATA[:-1], b"", DATA * 1000])
def test_a_file_of_another_size(tmp_path: Path, data: bytes) -> None:
    refuse(tar_of(GOOD, regular("a.txt", data)), tmp_path / "x", "its manifest says 5")


@pytest.mark.parametrize(
    "member",
    [
        special("a.txt", tarfile.SYMTYPE, "/etc/passwd"),
        special("a.txt", tarfile.LNKTYPE, MANIFEST),
        special("a.txt", tarfile.CHRTYPE),
        special("a.txt", tarfile.BLKTYPE),
        special("a.txt", tarfile.FIFOTYPE),
        special("a.txt", tarfile.DIRTYPE),
        special("a.txt", tarfile.CONTTYPE),
        special("a.txt", tarfile.GNUTYPE_SPARSE),
        special("a.txt", tarfile.XGLTYPE),
        special("a.txt", tarfile.GNUTYPE_LONGNAME),
    ],
    ids=lambda member: repr(member[0].type),
)
def test_anything_but_files(tmp_path: Path, member: tuple[tarfile.TarInfo, bytes]) -> None:
    info, _ = member
    block = info.tobuf(tarfile.USTAR_FORMAT)
    refuse(tar_of(GOOD)[:1024] + block + tar_of(A), tmp_path / "x", "holds|header|damaged", IntegrityError)
    assert (tmp_path / "x/sandbox/into" / "a.txt").exists() is False


def test_a_link_and_then_a_file_through_it(tmp_path: Path) -> None:
    data = manifest_of([entry("link/a.txt", DATA)])
    link = special("link", tarfile.SYMTYPE, str(tmp_path))
    refuse(
        tar_of(regular(MANIFEST, data), link, regular("link/a.txt", DATA)), tmp_path / "x", "symbolic link"
    )


def test_an_archive_without_manifest_first(tmp_path: Path) -> None:
    refuse(tar_of(A, GOOD), tmp_path / "x", "does not start with")
    refuse(tar_of(), tmp_path / "y", "does not start with")
    refuse(tar_of(regular("./" + MANIFEST, GOOD[1]), A), tmp_path / "z", "does not start with")


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04" + bytes(2000), b"\x1f\x8b", b"\x1f\x8b" + bytes(600), b"x" * 9000]
)
def test_no_archive_at_all(tmp_path: Path, data: bytes) -> None:
    refuse(data, tmp_path / "x", "damaged or no archive", IntegrityError)


def test_bytes_after_the_end(tmp_path: Path) -> None:
    refuse(tar_of(GOOD, A) + b"x", tmp_path / "x", "more bytes after its end")
    refuse(tar_of(GOOD, A) + tar_of(A), tmp_path / "y", "more bytes after its end")
    refuse(tar_of(GOOD, A) + bytes(4 << 20), tmp_path / "z", "more bytes after its end")


def test_a_manifest_over_the_limit_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo(MANIFEST)
    info.size = MAX_MANIFEST_BYTES + 1
    refuse(info.tobuf(tarfile.USTAR_FORMAT), tmp_path / "x", "the limit is")


def test_a_total_over_the_limit(tmp_path: Path) -> None:
    archive = tar_of(GOOD, A)
    with pytest.raises(UnsafeArchiveError, match="the limit is 4"):
        unpack(archive, tmp_path / "x", max_bytes=4)
    assert unpack(archive, tmp_path / "y", max_bytes=5)


def test_a_total_that_the_disk_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        archive_reading.shutil, "disk_usage", lambda _: os.times_result((0, 0, 0, 0, 0)) and _Usage()
    )
    with pytest.raises(StoreError, match="4 B are free: free some space, or set TIFFIN_HOME"):
        unpack(tar_of(GOOD, A), tmp_path / "x")


class _Usage:
    free = 4


def test_a_manifest_that_promises_more_than_there_is(tmp_path: Path) -> None:
    big = entry("a.txt", DATA)
    big.size_bytes = 1 << 38
    refuse(tar_of(regular(MANIFEST, manifest_of([big])), A), tmp_path / "x", "cut short", IntegrityError)


def test_a_gzip_bomb_is_not_inflated(tmp_path: Path) -> None:
    zeros = bytes(1 << 20)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as packed:
        packed.write(tar_of(GOOD, A).rstrip(b"\0") + bytes(512 - len(DATA)))
        for _ in range(400):
            packed.write(zeros)
    _cheap(buffer.getvalue(), tmp_path / "x", "after its end|no archive|header")
    info = tarfile.TarInfo("a.txt")
    info.size = 400 << 20
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as packed:
        packed.write(tar_of(GOOD)[:1024] + info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(400):
            packed.write(zeros)
    _cheap(buffer.getvalue(), tmp_path / "y", "its manifest says 5")


def test_an_extended_header_bomb_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    info.size = 1 << 32
    block = info.tobuf(tarfile.PAX_FORMAT)[-512:]
    _cheap(tar_of(GOOD)[:1024] + _sized(info, MAX_EXTENDED_BYTES + 1), tmp_path / "x", "extended header of")
    assert len(block) == 512
    _cheap(_sized(info, 0) + bytes(512), tmp_path / "y", "extended header of")


@pytest.mark.parametrize(
    "records",
    [
        b"30 GNU.sparse.realsize=9999999\n",
        b"22 linkpath=/etc/passwd\n",
        b"14 path=a.txt\n14 path=a.txt\n",
        b"8 size=x\n",
        b"10 size=-1\n",
        b"27 size=9999999999999999999\n",
        b"24 hdrcharset=BINARY=xxxx\n",
        b"99999999999999999999 path=x\n",
        b"0 path=x\n",
        b"-5 path=x\n",
        b"path=x\n",
        b"9 path=x!",
        "٩ path=x\n".encode(),
        b"\xb2 path=x\n",
    ],
)
def test_extended_headers_that_are_not_allowed(tmp_path: Path, records: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    header = _sized(info, len(records)) + records + bytes(-len(records) % 512)
    refuse(tar_of(GOOD)[:1024] + header + tar_of(A), tmp_path / "x", "tar", IntegrityError)


def test_an_extended_name_that_points_out(tmp_path: Path) -> None:
    info, _ = A
    moved = tarfile.TarInfo("a.txt")
    moved.size = info.size
    moved.pax_headers = {"path": "../../../up.txt"}
    refuse(tar_of(GOOD, (moved, DATA)), tmp_path / "x", "not in its manifest")


def test_two_extended_headers_for_one_file(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    records = b"14 path=a.txt\n"
    header = _sized(info, len(records)) + records + bytes(512 - len(records))
    refuse(tar_of(GOOD)[:1024] + header * 2 + tar_of(A), tmp_path / "x", "two extended headers")


def test_a_file_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    (tmp_path / "victim").write_bytes(b"mine")
    (into / "a.txt").symlink_to(tmp_path / "victim")
    (tmp_path / "in.tar").write_bytes(tar_of(GOOD, A))
    with pytest.raises(StoreError):
        read_archive(tmp_path / "in.tar", MANIFEST, into, parse)
    assert (tmp_path / "victim").read_bytes() == b"mine"


def _sized(info: tarfile.TarInfo, size_bytes: int) -> bytes:
    info.size = size_bytes
    return info.tobuf(tarfile.USTAR_FORMAT)


def _cheap(data: bytes, folder: Path, match: str) -> None:
    """Refused without the memory or the time that the bomb asks for."""
    assert len(data) < 2 << 20
    tracemalloc.start()
    began = time.process_time()
    try:
        refuse(data, folder, match)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
    assert time.process_time() - began < 2
