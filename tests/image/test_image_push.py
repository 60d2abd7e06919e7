"""Images pushed to a real registry: Debian's `docker-registry`, on this machine's loopback."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from built_image import Make
from registry import Registry

import tiffin
from tiffin.bundler import bundles
from tiffin.bundler.engines.choose import choose
from tiffin.errors import ImageError

ONE_MEGABYTE = 1_000_000


def test_a_push_and_a_push_of_one_line_more(
    engine: str, registry: Registry, make: Make, iris: Path, iris_bundle: bundles.Bundle, tmp_path: Path
) -> None:
    name = f"{registry.address}/iris:1"
    first = make(engine, iris_bundle, tags=[name], push=True)
    answer = registry.manifest("iris", "1")
    assert first.image.digests == {name: answer.headers["docker-content-digest"]}
    assert first.image.digests == {name: f"sha256:{hashlib.sha256(answer.content).hexdigest()}"}
    assert answer.json()["config"]["digest"] == first.image.id
    assert len(answer.json()["layers"]) == len(first.image.layers)
    before = registry.size()
    assert before > 100 * ONE_MEGABYTE, "the base and the dependencies are there"

    project = tmp_path / "project"
    shutil.copytree(iris, project)
    with (project / "service.py").open("a") as service:
        service.write("\n# One line more.\n")
    changed = make(engine, tiffin.build(project, lock=True), tags=[f"{registry.address}/iris:2"], push=True)
    (digest,) = changed.image.digests.values()
    assert digest not in first.image.digests.values()
    assert registry.manifest("iris", "2").headers["docker-content-digest"] == digest
    uploaded = registry.size() - before
    print(f"{engine}: {before} bytes uploaded first, {uploaded} for a changed line")
    assert 0 < uploaded < ONE_MEGABYTE


def test_what_was_pushed_can_be_pulled_by_its_digest(
    engine: str, registry: Registry, make: Make, iris_bundle: bundles.Bundle
) -> None:
    name = f"{registry.address}/iris:1"
    built = make(engine, iris_bundle, tags=[name], push=True)
    pinned = f"{registry.address}/iris@{built.image.digests[name]}"
    subprocess.run([engine, "pull", "--quiet", pinned], check=True, capture_output=True)
    facts = choose(engine).engine.inspect(pinned)
    assert (facts.id, facts.layers) == (built.image.id, built.image.layers)
    subprocess.run([engine, "rmi", pinned], check=True, capture_output=True)


def test_a_registry_that_does_not_answer(engine: str, make: Make, iris_bundle: bundles.Bundle) -> None:
    nobody = "127.0.0.1:1/iris:1"
    make(engine, iris_bundle, tags=[nobody])
    with pytest.raises(ImageError, match=r"(?s)127\.0\.0\.1:1/.*connection refused"):
        choose(engine).engine.push(nobody, lambda text, done, total: None)
