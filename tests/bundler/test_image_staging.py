"""The build context as a folder: what the tar holds, as links, once it was compared with its digests."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import stat
import tarfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from plain_bundles import plain_bundle

from tiffin.bundler import bundles, context_folders
from tiffin.bundler.bundles import Bundle
from tiffin.bundler.context_folders import context_folder
from tiffin.bundler.epoch import EPOCH
from tiffin.bundler.image import staging
from tiffin.bundler.image.context import contents, context
from tiffin.bundler.image.layers import Layer
from tiffin.bundler.image.staging import staged, stamp_of
from tiffin.errors import IntegrityError, NotFoundError

FILES = {"src/a.py": b"a", "src/deep/run": b"#!", "models/m/1/w": bytes(1000), "README.md": b""}
LAYERS = [
    Layer(("models/m/1/",), "/bundle/models/m/1/", "Model.", "layers/0", folder="/bundle/src"),
    Layer(("bundle.yaml", "README.md", "src/"), "/bundle/", "The rest.", "layers/1"),
]


def silent(text: str, done: int, total: int) -> None:
    """Nobody looks."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def made(home: Path) -> Bundle:
    """With the modes that files of the store have."""
    bundle = plain_bundle(home / "bundles/echo/v1", FILES, {"src/deep/run": "755"})
    for path in FILES:
        (bundle.path / path).chmod(0o555 if path == "src/deep/run" else 0o444)
    return bundle


def members(made: Bundle) -> dict[str, staging.Member]:
    return contents(made, dockerfile="FROM x\n", layers=LAYERS)


def left(home: Path) -> list[str]:
    return [path.name for path in (home / "bundles/.contexts").iterdir() if path.suffix != ".lock"]


def test_it_holds_what_the_tar_holds(made: Bundle, home: Path) -> None:
    data = b"".join(context(made, dockerfile="FROM x\n", layers=LAYERS))
    old = os.umask(0o077)
    try:
        with staged(made, members(made), "echo", silent) as folder:
            assert folder == home / "bundles/.contexts/echo"
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                in_tar = {each.name: (each, tar.extractfile(each)) for each in tar}
            found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
            assert set(found) == set(in_tar)
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for name, path in found.items():
                    status, member = path.stat(), tar.getmember(name)
                    assert stat.S_IMODE(status.st_mode) == member.mode, name
                    if member.isdir():
                        assert list(path.iterdir()) or status.st_mtime == EPOCH, name
                        continue
                    assert path.read_bytes() == tar.extractfile(name).read()  # type: ignore[union-attr]
                    digest = hashlib.sha256(path.read_bytes()).hexdigest()
                    assert status.st_mtime_ns == stamp_of(digest), name
                    assert round(status.st_mtime_ns / 1e9) == status.st_mtime_ns // 10**9 == EPOCH
            assert found["layers/0/bundle/models/m/1/w"].samefile(made.path / "models/m/1/w")
    finally:
        os.umask(old)
    assert left(home) == []
    assert (made.path / "models/m/1/w").read_bytes() == FILES["models/m/1/w"]


def test_other_content_has_another_time() -> None:
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(200)]
    assert len({stamp_of(digest) for digest in digests}) == len(digests)


def test_what_was_not_written_since_is_not_read_again(made: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = staging.hash_stream

    def hash_stream(source: object) -> tuple[str, int]:
        read.append(1)
        return real(source)  # type: ignore[arg-type]

    monkeypatch.setattr(staging, "hash_stream", hash_stream)
    for before in (0, len(FILES)):
        assert len(read) == before
        with staged(made, members(made), "echo", silent) as folder:
            assert folder is not None
    assert len(read) == len(FILES)


@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("size", [999, 1000])
def test_damaged_files_are_refused(made: Bundle, home: Path, stamped: bool, size: int) -> None:
    file = made.path / "models/m/1/w"
    if stamped:
        with staged(made, members(made), "echo", silent):
            pass
    file.chmod(0o644)
    file.write_bytes(b"\1" * size)
    file.chmod(0o444)
    match = "models/m/1/w is not what its digest says"
    with pytest.raises(IntegrityError, match=match), staged(made, members(made), "echo", silent):
        pytest.fail("it was staged")
    file.unlink()
    with pytest.raises(IntegrityError, match="is missing"), staged(made, members(made), "echo", silent):
        pytest.fail("it was staged")
    file.symlink_to("/etc/passwd")
    with pytest.raises(IntegrityError, match="is a link"), staged(made, members(made), "echo", silent):
        pytest.fail("it was staged")
    assert left(home) == []


@pytest.mark.parametrize(
    ("module", "call", "code"),
    [
        (staging.os, "link", errno.EXDEV),
        (staging.os, "utime", errno.EPERM),
        (context_folders.fcntl, "flock", errno.ENOLCK),
    ],
)
def test_where_files_cannot_be_linked(
    made: Bundle, home: Path, monkeypatch: pytest.MonkeyPatch, module: object, call: str, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module, call, refuse)
    with staged(made, members(made), "echo", silent) as folder:
        assert folder is None
    assert left(home) == []


def test_where_times_have_no_nanoseconds(made: Bundle, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file would be dated alike, and a changed one of the same size would not be sent."""
    real = os.utime

    def utime(file: object, *, ns: tuple[int, int]) -> None:
        real(file, ns=(ns[0] // 10**9 * 10**9, ns[1] // 10**9 * 10**9))  # type: ignore[call-overload]

    monkeypatch.setattr(staging.os, "utime", utime)
    with staged(made, members(made), "echo", silent) as folder:
        assert folder is None
    assert left(home) == []


def test_linking_may_make_a_new_file(made: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """As overlayfs does with files of a lower layer that have several names, such as those of models."""

    def link(source: Path, target: Path, *, follow_symlinks: bool) -> None:
        assert not follow_symlinks
        shutil.copy2(source, source.with_name("copied"))
        source.with_name("copied").rename(source)
        real(source, target)

    real = os.link
    monkeypatch.setattr(staging.os, "link", link)
    with staged(made, members(made), "echo", silent) as folder:
        assert folder is not None
        for path, data in FILES.items():
            (found,) = folder.glob(f"layers/*/bundle/{path}")
            assert found.read_bytes() == data
            assert found.stat().st_mtime_ns == stamp_of(hashlib.sha256(data).hexdigest())


def test_files_with_modes_of_their_own_are_left_alone(made: Bundle) -> None:
    (made.path / "src/a.py").chmod(0o640)
    with staged(made, members(made), "echo", silent) as folder:
        assert folder is None
    assert stat.S_IMODE((made.path / "src/a.py").stat().st_mode) == 0o640


def test_one_file_under_two_names_is_two_files(made: Bundle) -> None:
    """The client would send a link, and the layer would be another one than that of the tar."""
    entry = next(each for each in made.info.files if each.path == "src/a.py")
    folders: dict[str, staging.Member] = {"x": None}
    with staged(made, {**folders, "x/a": entry, "x/b": entry}, "echo", silent) as folder:
        assert folder is not None
        one, two = (folder / "x/a").stat(), (folder / "x/b").stat()
        assert one.st_ino != two.st_ino
        assert (one.st_mode, one.st_mtime_ns) == (two.st_mode, two.st_mtime_ns)


def test_builds_at_once_have_folders_of_their_own(home: Path) -> None:
    with ExitStack() as stack:
        places = [stack.enter_context(context_folder("echo")) for _ in range(3)]
        assert [place.name for place in places] == ["echo", "echo@2", "echo@3"]
        context_folders.sweep()
        assert all(place.is_dir() for place in places)
    assert left(home) == []
    with context_folder("echo") as place:
        assert place.name == "echo"


def test_a_deleted_bundle_leaves_the_disk(made: Bundle, home: Path) -> None:
    """Also when a build of it was killed."""
    killed = home / "bundles/.contexts/echo"
    killed.mkdir(parents=True)
    os.link(made.path / "models/m/1/w", killed / "w")
    with pytest.raises(NotFoundError):
        bundles.delete("other")
    bundles.delete("echo:v1")
    assert left(home) == []


def test_the_next_build_clears_what_a_killed_one_left(home: Path) -> None:
    (home / "bundles/.contexts/echo/deep").mkdir(parents=True)
    (home / "bundles/.contexts/other/deep").mkdir(parents=True)
    with context_folder("echo") as place:
        assert left(home) == ["echo"]
        assert list(place.iterdir()) == []
