from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import pytest
from parcels import content, regular, tar_of
from projects import adder_project, echo_project

import tiffin
from tiffin.bundler import bundles
from tiffin.errors import AlreadyExistsError, IntegrityError, NotFoundError, StoreError, UnsafeArchiveError
from tiffin.runtime.manifest import BUNDLE_FILE, BundleInfo, FileEntry, dump_yaml
from tiffin.runtime.tag import Tag
from tiffin.runtime.verify import bundle_digest, verify_before_serving


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one bundle, made once."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIFFIN_HOME", str(folder / "home"))
        tiffin.build(adder_project(folder / "project"), name="sums", version="v1", lock=False)
    return folder / "home"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(built, tmp_path / "home")
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def other_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "other"))
    return tmp_path / "other"


def change(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_find_list_delete() -> None:
    bundle = bundles.get("sums")
    assert (bundle.tag, bundle.info.name) == (Tag("sums", "v1"), "sums")
    assert [one.tag for one in bundles.list()] == [one.tag for one in bundles.list("sums")] == [bundle.tag]
    assert bundles.list("none") == []
    with pytest.raises(NotFoundError, match="did you mean 'sums'"):
        bundles.get("sum")
    assert bundles.delete("sums:v1") == bundle.tag
    assert bundles.list() == []
    assert tiffin.models.get("adder").load().predict(1) == 3


def test_a_list_while_another_deletes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = bundles.tags()
    bundles.delete("sums")
    monkeypatch.setattr(bundles, "tags", lambda name: seen)
    assert bundles.list() == []


@pytest.mark.parametrize("name", ["", "a.tar", "deep/a.tar.gz", "deep/"])
def test_from_store_to_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    there = bundles.get("sums")
    path = bundles.export("sums", name or None)
    assert path == (Path(name, "sums-v1.tar") if name in {"", "deep/"} else Path(name))
    path = path.absolute()
    other_home(tmp_path, monkeypatch)
    steps: list[tuple[int, int]] = []
    here = bundles.import_(path, on_progress=lambda *step: steps.append(step))
    assert (here.tag, here.info) == (there.tag, there.info)
    assert content(here.path) == content(there.path)
    assert here.path.is_relative_to(tmp_path / "other")
    assert bundles.verify("sums") == []
    assert steps
    # Its model is in it: nothing of the other store is needed.
    monkeypatch.setenv("TIFFIN_BUNDLE", str(here.path))
    assert tiffin.models.get("adder").load().predict(1) == 3


def test_the_same_twice_is_no_harm_and_another_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = bundles.export("sums", tmp_path / "a.tar")
    assert bundles.import_(archive).path == bundles.get("sums").path
    other_home(tmp_path, monkeypatch)
    made = tiffin.build(echo_project(tmp_path / "project"), name="sums", version="v1", lock=False)
    with pytest.raises(AlreadyExistsError, match="sums:v1 exists"):
        bundles.import_(archive)
    assert bundles.get("sums").info == made.info


def test_a_damaged_bundle_is_named_file_by_file(home: Path, tmp_path: Path) -> None:
    bundle = bundles.get("sums")
    assert bundles.verify("sums") == []
    service = bundle.path / "src/service.py"
    data = service.read_bytes()
    change(service, data.replace(b"Adds", b"Subs"))
    (bundle.path / "README.md").unlink()
    (bundle.path / "src/added.py").write_text("x")
    (bundle.path / "apis/openapi.json").unlink()
    (bundle.path / "apis/openapi.json").symlink_to("/etc/passwd")
    (bundle.path / "link").symlink_to("/etc")
    os.mkfifo(bundle.path / "models/pipe")
    model = "models/adder/"
    weights = [f.path for f in bundle.info.files if f.path.startswith(model) and "model.yaml" not in f.path]
    pickled = weights[0]
    change(bundle.path / pickled, b"cos\nsystem\n(S'true'\ntR.")
    steps: list[tuple[int, int]] = []
    found = bundles.verify("sums", on_progress=lambda *step: steps.append(step))
    assert sorted(found) == sorted(
        [
            ("README.md", "missing"),
            ("apis/openapi.json", "not a regular file"),
            ("link", "not listed"),
            ("models/pipe", "not listed"),
            (pickled, "changed"),
            ("src/added.py", "not listed"),
            ("src/service.py", "changed"),
        ]
    )
    assert steps[-1][1] == bundle.info.size_bytes
    with pytest.raises(
        IntegrityError, match=r"(?s)nothing of it was run.*src/service\.py: changed"
    ) as caught:
        verify_before_serving(bundle.path)
    assert pickled not in str(caught.value)  # Model.load looks at weights, just before it unpickles them
    with pytest.raises(IntegrityError):
        bundles.export("sums", tmp_path / "out.tar")
    assert not (tmp_path / "out.tar").exists()
    assert home.exists()


def test_serving_reads_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from tiffin.runtime import verify

    bundle = bundles.get("sums")
    opened: list[str] = []
    real = verify.open_regular

    def watched(path: Path) -> object:
        opened.append(path.relative_to(bundle.path).as_posix())
        return real(path)

    monkeypatch.setattr(verify, "open_regular", watched)
    assert verify_before_serving(bundle.path) == bundle.info
    weights = [f.path for f in bundle.info.files if "models/" in f.path and not f.path.endswith("model.yaml")]
    assert weights
    assert sorted(opened + weights) == sorted(file.path for file in bundle.info.files)


def edited(info: BundleInfo, **fields: object) -> BundleInfo:
    return msgspec.structs.replace(info, **fields)


def test_an_edited_manifest_is_refused(tmp_path: Path) -> None:
    bundle = bundles.get("sums")
    info = bundle.info
    service = edited(info.service, cls="os:system")  # type: ignore[arg-type]
    outside = FileEntry(path="../../../x", size_bytes=0, sha256="0" * 64)
    for change_to in (
        edited(info, service=service),
        edited(info, files=info.files[1:]),
        edited(info, size_bytes=info.size_bytes + 1),
        edited(info, models=[]),
        signed(edited(info, models=["other:v1"])),
        signed(edited(info, files=[*info.files, outside])),
        signed(edited(info, name="../x")),
        signed(edited(info, version="latest")),
        signed(edited(info, models=["../../x:y"])),
        edited(info, digest=""),
    ):
        change(bundle.path / BUNDLE_FILE, dump_yaml(change_to).encode())
        with pytest.raises(IntegrityError, match="damaged or was edited"):
            bundles.verify("sums:v1")
        with pytest.raises(IntegrityError, match="damaged or was edited"):
            verify_before_serving(bundle.path)
    for text in (b"", b"- 1", b"\xff", b"a: *b", b"[" * 100_000, dump_yaml(info).encode() + b"more: 1\n"):
        change(bundle.path / BUNDLE_FILE, text)
        with pytest.raises(IntegrityError):
            bundles.get("sums")
    assert not (tmp_path / "x").exists()


def signed(info: BundleInfo) -> BundleInfo:
    """With the digest and size that its author would write."""
    info = edited(info, size_bytes=sum(file.size_bytes for file in info.files))
    return edited(info, digest=bundle_digest(info))


def test_hostile_archives_leave_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = bundles.get("sums")
    info = bundle.info
    data = {file.path: (bundle.path / file.path).read_bytes() for file in info.files}
    other = other_home(tmp_path, monkeypatch)
    outside = edited(info.files[0], path="../../../../escaped.txt")  # type: ignore[arg-type]

    def archive(manifest: BundleInfo | bytes, extra: tuple[str, bytes] | None = None) -> Path:
        text = manifest if isinstance(manifest, bytes) else dump_yaml(manifest).encode()
        members = [regular(path, content) for path, content in data.items()]
        path = tmp_path / "hostile.tar"
        path.write_bytes(tar_of(regular(BUNDLE_FILE, text), *members, *([regular(*extra)] if extra else [])))
        return path

    hostile = [
        (archive(edited(info, digest="sha256:" + "0" * 64)), IntegrityError),
        (archive(signed(edited(info, files=[*info.files, outside])), (outside.path, b"x")), IntegrityError),
        (archive(signed(edited(info, name="../../x"))), IntegrityError),
    ]
    for make, error in hostile:
        with pytest.raises(error):
            bundles.import_(make)
    for manifest, extra in ((info, ("src/extra.py", b"x")), (info, ("../escaped.txt", b"x"))):
        with pytest.raises(UnsafeArchiveError):
            bundles.import_(archive(manifest, extra))
    for text in (b"[" * 200_000, b"a: &a [1]\nb: [*a, *a]", b"\xff\xfe", b"format: 99\n"):
        with pytest.raises(IntegrityError):
            bundles.import_(archive(text))
    data[info.files[0].path] = b"?" * len(data[info.files[0].path])
    with pytest.raises(IntegrityError, match="not what its digest says"):
        bundles.import_(archive(info))
    with pytest.raises(StoreError, match="cannot read"):
        bundles.import_(tmp_path / "nothing.tar")
    assert [path for path in other.rglob("*") if path.is_file() and path.name != ".lock"] == []
    assert not list(tmp_path.rglob("escaped.txt"))
