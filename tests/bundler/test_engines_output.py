"""Images as files."""

from __future__ import annotations

import io
import json
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from tiffin.bundler.bar import Progress
from tiffin.bundler.engines.engine import BuildRequest, Container, ImageFacts, RunRequest
from tiffin.bundler.engines.output import Output, write_output
from tiffin.errors import ImageError, UsageError

Files = dict[str, bytes | None]
"""Path to content; None: a folder."""


def layer(files: Files, *extra: tarfile.TarInfo) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            info.mode = 0o755
            info.size = len(data or b"")
            archive.addfile(info, io.BytesIO(data or b""))
        for info in extra:
            archive.addfile(info)
    return stream.getvalue()


class Saves:
    """An engine that can save one image."""

    name = "docker"
    version = "1"
    link = True
    arranged = True

    def __init__(self, *layers: bytes) -> None:
        self.layers = layers

    def save(self, image: str, path: Path, on_progress: Progress) -> None:
        on_progress("write the image", 1, 1)
        config = json.dumps(
            {"rootfs": {"diff_ids": [f"sha256:{sha256(each).hexdigest()}" for each in self.layers]}}
        )
        names = [f"{number}/layer.tar" for number in range(len(self.layers))]
        manifest = [{"Config": "config.json", "RepoTags": [image], "Layers": names}]
        files = {"config.json": config.encode(), "manifest.json": json.dumps(manifest).encode()}
        path.write_bytes(layer({**files, **dict(zip(names, self.layers, strict=True))}))

    def build(self, request: BuildRequest, on_progress: Progress) -> str:
        raise NotImplementedError

    def inspect(self, image: str) -> ImageFacts:
        raise NotImplementedError

    def push(self, image: str, on_progress: Progress) -> str:
        raise NotImplementedError

    def run(self, request: RunRequest) -> Container:
        raise NotImplementedError


def silent(text: str, done: int, total: int) -> None:
    pass


def write(folder: Path, kind: str, *layers: bytes) -> Path:
    target = folder / kind
    write_output(Saves(*layers), "iris:1", Output(kind, target), silent)
    assert [path.name for path in folder.iterdir()] == [kind]  # nothing is left beside it
    return target


def test_dir_is_what_a_container_sees(tmp_path: Path) -> None:
    target = write(
        tmp_path,
        "dir",
        layer({"etc": None, "etc/a": b"1", "etc/b": b"1", "opt": None, "opt/old": b"x", "kind": b"file"}),
        layer(
            {
                "etc/a": b"2",
                "etc/.wh.b": b"",
                "opt": None,
                "opt/.wh..wh..opq": b"",
                "opt/new": b"y",
                "kind": None,
            }
        ),
    )
    found = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert found == {"etc/a": b"2", "opt/new": b"y"}
    assert (target / "kind").is_dir()


def test_dir_refuses_an_image_that_leads_out_of_it(tmp_path: Path) -> None:
    link = tarfile.TarInfo("away")
    link.type = tarfile.SYMTYPE
    link.linkname = str(tmp_path)
    with pytest.raises(ImageError, match=r"leads out of it|safely"):
        write_output(
            Saves(layer({}, link), layer({"away/gone": b"x"})),
            "x:1",
            Output("dir", tmp_path / "deep/dir"),
            silent,
        )
    assert not (tmp_path / "gone").exists()


def hard_link(name: str, linkname: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.LNKTYPE
    info.linkname = linkname
    info.mode = 0o777
    return info


def test_a_file_that_takes_the_place_of_a_hard_link_leaves_the_other_name_alone(tmp_path: Path) -> None:
    target = write(
        tmp_path, "dir", layer({"etc": None, "etc/a": b"1"}, hard_link("b", "etc/a")), layer({"b": b"2"})
    )
    assert ((target / "etc/a").read_bytes(), (target / "b").read_bytes()) == (b"1", b"2")


@pytest.mark.parametrize("linkname", ["../mine", "{}/mine", "up/../../mine"])
def test_a_hard_link_may_not_lead_out(tmp_path: Path, linkname: str) -> None:
    mine = tmp_path / "mine"
    mine.write_text("kept")
    mine.chmod(0o600)
    saves = Saves(layer({"up": None}, hard_link("x", linkname.format(tmp_path))), layer({"x": b"lost"}))
    with pytest.raises(ImageError, match=r"leads out of it|No such file"):
        write_output(saves, "x:1", Output("dir", tmp_path / "dir"), silent)
    assert (mine.read_text(), mine.stat().st_mode & 0o777, mine.stat().st_nlink) == ("kept", 0o600, 1)


@pytest.mark.parametrize("name", [".wh...", ".wh..", ".wh.", "a/.wh...", "../.wh.mine", "..", "a/.."])
def test_nothing_outside_can_be_removed(tmp_path: Path, name: str) -> None:
    mine = tmp_path / "mine"
    mine.write_text("kept")
    with pytest.raises(ImageError, match="leads out of it"):
        write_output(
            Saves(layer({"a": None}), layer({name: b""})), "x:1", Output("dir", tmp_path / "dir"), silent
        )
    assert mine.read_text() == "kept"


def test_dir_must_be_empty(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("kept")
    with pytest.raises(ImageError, match="not empty"):
        write_output(Saves(layer({})), "x:1", Output("dir", tmp_path / "full"), silent)
    assert (tmp_path / "full" / "mine").read_text() == "kept"


def test_oci(tmp_path: Path) -> None:
    same = layer({"a": b"1"})
    target = write(tmp_path, "oci", layer({"b": b"2"}), same, same)
    with tarfile.open(target) as archive:
        names = archive.getnames()
        assert len(names) == len(set(names))  # equal layers are written once

        def read(name: str) -> bytes:
            file = archive.extractfile(name)
            assert file is not None
            data = file.read()
            assert not name.startswith("blobs/") or sha256(data).hexdigest() == name.rpartition("/")[2]
            return data

        def blob(entry: dict[str, object]) -> bytes:
            data = read(f"blobs/sha256/{str(entry['digest']).removeprefix('sha256:')}")
            assert len(data) == entry["size"]
            return data

        assert json.loads(read("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
        (entry,) = json.loads(read("index.json"))["manifests"]
        assert entry["annotations"] == {"org.opencontainers.image.ref.name": "iris:1"}
        manifest = json.loads(blob(entry))
        config = json.loads(blob(manifest["config"]))
        assert [each["digest"] for each in manifest["layers"]] == config["rootfs"]["diff_ids"]
        assert [blob(each) for each in manifest["layers"]][1:] == [same, same]


def test_tar_takes_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "tar").write_text("older")
    target = write(tmp_path, "tar", layer({"a": b"1"}))
    with tarfile.open(target) as archive:
        assert "manifest.json" in archive.getnames()


@pytest.mark.parametrize("text", ["tar", "tar=", "zip=x", "=x"])
def test_what_is_no_output(text: str) -> None:
    with pytest.raises(UsageError, match="dir=FOLDER, tar=FILE or oci=FILE"):
        Output.parse(text)
