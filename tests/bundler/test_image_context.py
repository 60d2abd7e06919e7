"""The build context: one stream, the same bytes for the same bundle, and never damaged ones."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_bundles import plain_bundle

from tiffin.bundler.bundles import Bundle
from tiffin.bundler.epoch import EPOCH
from tiffin.bundler.image import context as context_module
from tiffin.bundler.image.context import DOCKERFILE_BESIDE, context
from tiffin.bundler.image.layers import Layer
from tiffin.errors import IntegrityError
from tiffin.runtime.digest import CHUNK_BYTES


def read(made: Bundle, **options: str) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(context(made, **options)))) as tar:
        return {member.name: member for member in tar}


def test_what_is_in_it(tmp_path: Path) -> None:
    made = plain_bundle(
        tmp_path / "b",
        {"src/a.py": b"x", "src/run": b"", "env/docker/Dockerfile": b"FROM y"},
        {"src/run": "755"},
    )
    (tmp_path / "b" / "stray").write_text("not in the manifest")
    members = read(made, dockerfile="FROM x\n")
    assert list(members) == [
        DOCKERFILE_BESIDE,
        "bundle.yaml",
        "env",
        "env/docker",
        "env/docker/Dockerfile",
        "src",
        "src/a.py",
        "src/run",
    ]
    assert {member.mtime for member in members.values()} == {EPOCH}
    assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "")}
    assert {name: oct(member.mode) for name, member in members.items() if member.mode != 0o444} == {
        "env": "0o755",
        "env/docker": "0o755",
        "src": "0o755",
        "src/run": "0o555",
    }
    with tarfile.open(fileobj=io.BytesIO(b"".join(context(made, dockerfile="FROM x\n")))) as tar:
        assert tar.extractfile(DOCKERFILE_BESIDE).read() == b"FROM x\n"  # type: ignore[union-attr]
        assert tar.extractfile("env/docker/Dockerfile").read() == b"FROM y"  # type: ignore[union-attr]
    assert DOCKERFILE_BESIDE not in read(made)


def test_files_lie_where_the_dockerfile_copies_them_from(tmp_path: Path) -> None:
    files = {"src/a.py": b"a", "src/deep/b.py": b"b", "README.md": b"r", "srcs": b"no folder"}
    made = plain_bundle(tmp_path / "b", files)
    code = Layer(("src/",), "/bundle/src/", "The code.", "layers/0")
    top = Layer(("bundle.yaml", "README.md"), "/bundle/", "The rest.", "layers/1")
    data = b"".join(context(made, dockerfile="FROM x", layers=[code, top]))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {member.name: member for member in tar}
    assert sorted(name for name, member in members.items() if member.isreg()) == [
        "Dockerfile",
        "layers/0/bundle/src/a.py",
        "layers/0/bundle/src/deep/b.py",
        "layers/1/bundle/README.md",
        "layers/1/bundle/bundle.yaml",
        "srcs",
    ]
    # Every folder below a layer's place, empty among those of its level; the deepest are found first.
    empty = {name for name, member in members.items() if member.isdir() and name.startswith("layers/0.")}
    leaves = [name for name in members if name in empty and not any(f"{name}/" in each for each in empty)]
    assert [name.split("/", 3)[3] for name in leaves] == ["bundle/src/deep", "bundle/src", "bundle"]
    assert {(members[name].mtime, members[name].mode) for name in empty} == {(EPOCH, 0o755)}
    plain = [Layer(("src/",), "/bundle/src/", "The code.")]
    assert b"".join(context(made, layers=plain)) == b"".join(context(made))


PART = st.from_regex(r"[a-zé ]{1,120}", fullmatch=True).filter(lambda part: part.strip() == part)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.dictionaries(PART, st.binary(max_size=2000), max_size=5))
def test_equal_bundles_give_equal_bytes(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    paths = {f"src/{name}/{name}": data for name, data in files.items()}
    one = plain_bundle(tmp_path_factory.mktemp("one") / "b", paths)
    two = plain_bundle(tmp_path_factory.mktemp("two") / "b", dict(reversed(paths.items())))
    assert b"".join(context(one)) == b"".join(context(Bundle(two.tag, one.info, one.path)))
    data = b"".join(context(two))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        kept = {member.name: tar.extractfile(member).read() for member in tar if member.isreg()}  # type: ignore[union-attr]
    assert {name: kept[name] for name in paths} == paths


@pytest.mark.parametrize("size", [0, 1, 512, CHUNK_BYTES, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 1])
def test_damaged_bytes_make_no_whole_tar(tmp_path: Path, size: int) -> None:
    good = bytes(size)
    made = plain_bundle(tmp_path / "b", {"models/m/1/w": good, "src/a.py": b"x"})
    file = made.path / "models/m/1/w"
    file.write_bytes(b"\1" * size if size else b"\1")
    pieces = []
    with pytest.raises(IntegrityError, match="models/m/1/w is not what its digest says"):
        pieces += list(context(made))
    file.unlink()
    with pytest.raises(IntegrityError, match="models/m/1/w is missing"):
        list(context(made))
    file.symlink_to("/etc/passwd")
    with pytest.raises(IntegrityError, match="is a link"):
        list(context(made))


def test_the_last_piece_of_a_damaged_file_never_goes_out(tmp_path: Path) -> None:
    made = plain_bundle(tmp_path / "b", {"models/m/1/w": bytes(3 * CHUNK_BYTES)})
    (made.path / "models/m/1/w").write_bytes(b"\1" * 3 * CHUNK_BYTES)
    sent = 0
    with pytest.raises(IntegrityError):
        for piece in context(made):
            sent += piece.count(b"\1")
    assert sent == 2 * CHUNK_BYTES


def test_a_file_is_read_once_and_not_before_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plain_bundle(tmp_path / "b", {"models/a/1/w": bytes(CHUNK_BYTES * 2), "models/b/1/w": b"b"})
    opened: list[str] = []
    real = context_module.open_regular

    def opening(path: Path) -> object:
        opened.append(path.parts[-3])
        return real(path)

    monkeypatch.setattr(context_module, "open_regular", opening)
    seen = []
    for piece in context(made):
        assert len(piece) <= CHUNK_BYTES
        seen.append(list(opened))
    assert opened == ["a", "b"]
    assert ["a"] in seen
