"""What is built, and what travels, when something changes; and that the same bundle gives the same layers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from built_image import Built, Make
from layers import Saved, differences

import tiffin
from tiffin.bundler import bundles, containerize
from tiffin.bundler.engines.choose import choose
from tiffin.bundler.engines.engine import Secret
from tiffin.bundler.epoch import EPOCH

PASSWORD = "geheim-0b5d8a1f7e"
ONE_MEGABYTE = 1_000_000


def new_bytes(old: Built, new: Saved) -> int:
    """What a registry that has the old image would be sent of the new one, before it is packed."""
    return sum(size for digest, size in new.sizes().items() if digest not in old.image.layers)


def test_a_change_of_one_line(iris_image: Built, iris: Path, make: Make, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(iris, project)
    service = project / "service.py"
    service.write_text(service.read_text() + "\n# One line more.\n")
    (project / "new/deeper").mkdir(parents=True)
    (project / "new/deeper/file.txt").write_text("In folders that the engine did not have.\n")
    bundlefile = project / "bundlefile.yaml"
    bundlefile.write_text(bundlefile.read_text().replace("  - service.py\n", "  - service.py\n  - new/\n"))
    changed = make(iris_image.engine, tiffin.build(project, lock=True))
    with changed.saved(tmp_path) as saved:
        sent_bytes = new_bytes(iris_image, saved)
        new = [n for n, digest in enumerate(saved.digests()) if digest not in iris_image.image.layers]
        entries = {path: entry for number in new for path, entry in saved.entries(number).items()}
    assert "bundle/src/new/deeper" in entries
    assert {path: entry.mtime for path, entry in entries.items() if entry.mtime != EPOCH} == {}
    print(f"{iris_image.engine}: a changed line: {sent_bytes} bytes, {changed.image.seconds} s")
    assert sent_bytes < ONE_MEGABYTE
    assert changed.ran == []


def test_a_new_model(iris_image: Built, iris: Path, make: Make, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "train.py"], cwd=iris, check=True)
    bundle = tiffin.build(iris, lock=True)
    changed = make(iris_image.engine, bundle)
    model = sum(file.size_bytes for file in bundle.info.files if file.path.startswith("models/"))
    assert changed.ran == []
    with changed.saved(tmp_path) as saved:
        assert new_bytes(iris_image, saved) < model + ONE_MEGABYTE
        of_models = {digest for digest, path, _ in saved.files() if path.startswith("bundle/models/")}
    assert len(of_models) == 1, "its own layer"


def test_two_builds_give_the_same_layers_and_keep_no_secret(
    iris_image: Built,
    iris_bundle: bundles.Bundle,
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine index.example.com login me password {PASSWORD}\n")
    monkeypatch.setenv("SECRET_OF_A_TEST", PASSWORD)
    # An engine that can gets the files themselves at first, and a stream of them now.
    monkeypatch.setattr(containerize, "staged", lambda *_: nullcontext())
    secrets = [Secret("netrc", f"src={netrc}"), Secret("token", "env=SECRET_OF_A_TEST")]
    again = make(iris_image.engine, iris_bundle, no_cache=True, secrets=secrets, tags=["tiffin-test/again:1"])
    assert again.ran != []
    if again.image.layers != iris_image.image.layers:
        (tmp_path / "first").mkdir()
        with iris_image.saved(tmp_path / "first") as first, again.saved(tmp_path) as second:
            pytest.fail("\n".join(["other layers:", *differences(first, second)[:50]]))
    secret = PASSWORD.encode()
    with again.saved(tmp_path) as saved:
        assert PASSWORD not in str(saved.config)  # its history and environment too
        assert [path for _, path, content in saved.files() if secret in content.read()] == []
    for file in iris_bundle.path.rglob("*"):
        assert not file.is_file() or secret not in file.read_bytes()
    assert PASSWORD not in "\n".join(again.steps)


def test_a_layer_has_one_order(iris_image: Built, tmp_path: Path) -> None:
    """Docker before 23 writes either of two orders, by what is in its cache: they must be the same."""
    if choose(iris_image.engine).engine.link:
        pytest.skip("an engine with COPY --link has one order")
    with iris_image.saved(tmp_path) as saved:
        layers = range(len(saved.digests()))
        venv = next(number for number in layers if any("opt/venv" in path for path in saved.paths(number)))
        for number in layers[venv - 1 :]:  # before it: bytecode of the standard library
            as_texts, by_folder = saved.orders(number)
            assert as_texts == by_folder, f"layer {number}"
    assert venv > 1


def test_outputs(iris_bundle: bundles.Bundle, docker: str, make: Make, tmp_path: Path) -> None:
    from tiffin.bundler.engines.output import Output

    outputs = [Output("oci", tmp_path / "iris.oci.tar"), Output("dir", tmp_path / "root")]
    make(docker, iris_bundle, outputs=outputs)
    assert (tmp_path / "root/bundle/bundle.yaml").read_bytes() == (
        iris_bundle.path / "bundle.yaml"
    ).read_bytes()
    assert (tmp_path / "root/opt/venv/bin/bundle-serve").stat().st_mode & 0o111
    if shutil.which("buildah"):
        pulled = subprocess.run(
            ["buildah", "pull", "--quiet", f"oci-archive:{tmp_path / 'iris.oci.tar'}"],
            check=True,
            capture_output=True,
            text=True,
        )
        subprocess.run(["buildah", "rmi", "--force", pulled.stdout.strip()], check=True, capture_output=True)
