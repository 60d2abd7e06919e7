"""A signed bundle in an image: the server there demands the signature, however the image was built."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from boxes import Box
from built_image import Built, Make, plain_build
from projects import echo_project

import tiffin
from tiffin.bundler import bundles, signing


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ours.pem and theirs.pem, and what belongs to them."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        signing.new_key(folder / f"{name}.pem")
    return folder


@pytest.fixture(scope="module")
def signed(home: Path, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> bundles.Bundle:
    project = echo_project(tmp_path_factory.mktemp("signed") / "project")
    (project / "requirements.txt").write_text("tiffin[sign]\n")
    bundle = tiffin.build(project, name="signed", lock=True)
    signing.sign(bundle.tag, keys / "ours.pem")
    return bundle


@pytest.fixture(scope="module")
def image(docker: str, make: Make, signed: bundles.Bundle) -> Built:
    return make(docker, signed)


@pytest.fixture(scope="module")
def plain(image: Built, signed: bundles.Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an image that no command of tiffin built."""
    name = "tiffin-test/signed-plain:1"
    with plain_build(image.engine, signed, name, tmp_path_factory.mktemp("plain")):
        yield name


def demanding(program: str, name: str, keys: Path, key: str) -> Box:
    options = ["--env", "TIFFIN_REQUIRE_SIGNED=/keys/key.pem", "--volume", f"{keys / key}:/keys/key.pem:ro"]
    return Box(program, name, options=options)


def ended(box: Box) -> tuple[int, str]:
    """Exit code and log of a container that ends by itself."""
    subprocess.run([box.program, "wait", box.id], check=True, capture_output=True, timeout=120)
    return int(box.state()["ExitCode"]), box.logs()


@pytest.mark.parametrize("kind", ["containerized", "plain"])
def test_only_the_right_key_starts_it(kind: str, image: Built, plain: str, keys: Path) -> None:
    name = {"containerized": image.name, "plain": plain}[kind]
    with demanding(image.program, name, keys, "ours.pub.pem") as box:
        box.wait_until_ready()
        assert box.run("ls /bundle/signatures.json") == "/bundle/signatures.json"
    with demanding(image.program, name, keys, "theirs.pub.pem") as box:
        code, log = ended(box)
        assert code != 0
        assert "is not signed by ed25519:" in log
        assert "Traceback" not in log


def test_what_nobody_signed_does_not_start(image: Built, plain: str, keys: Path) -> None:
    """Signatures that somebody took away are not believed either."""
    empty = keys / "none.json"
    empty.write_text('{"format": 1, "signatures": []}\n')
    options = ["--volume", f"{empty}:/bundle/signatures.json:ro"]
    options += ["--env", "TIFFIN_REQUIRE_SIGNED=/keys/key.pem"]
    options += ["--volume", f"{keys / 'ours.pub.pem'}:/keys/key.pem:ro"]
    with Box(image.program, plain, options=options) as box:
        code, log = ended(box)
        assert code != 0
        assert "nobody signed it" in log
