"""One name for images of several platforms, in the store of an engine and in a registry."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from registry import LIST, Registry

from tiffin.bundler.bar import Progress
from tiffin.bundler.engines.choose import choose
from tiffin.bundler.engines.engine import BuildRequest, Engine

PLATFORMS = ("linux/amd64", "linux/arm64")


def silent(text: str, done: int, total: int) -> None:
    pass


def build(engine: Engine, name: str, platform: str, folder: Path, on_progress: Progress = silent) -> str:
    """An image of one file, whose build runs nothing, so that no processor is emulated."""
    text = "FROM scratch\nCOPY one /\n"
    (folder / "one").write_text(platform)

    def context() -> Iterator[bytes]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for member, data in (("Dockerfile", text.encode()), ("one", platform.encode())):
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        yield buffer.getvalue()

    request = BuildRequest(
        dockerfile=text,
        folder=folder,
        context=context,
        dockerfile_path="Dockerfile",
        tags=[name],
        platform=platform,
    )
    return engine.build(request, on_progress)


def test_a_name_for_two_platforms(engine: str, registry: Registry, tmp_path: Path) -> None:
    used = choose(engine).engine
    name = f"{registry.address}/two:1"
    names = {platform: f"{name}-{platform.rpartition('/')[2]}" for platform in PLATFORMS}
    try:
        for platform, own in names.items():
            assert used.inspect(build(used, own, platform, tmp_path)).platform == platform
            used.push(own, silent)
        build(used, name, PLATFORMS[0], tmp_path)  # an image that has the name already loses it
        for _ in range(2):  # and so does a list
            used.join(name, list(names.values()))
        assert used.inspect(name).platform in PLATFORMS, "the one of this machine"
        digest = used.push_joined(name, list(names.values()), silent)
        answer = registry.manifest("two", "1", LIST)
        assert digest in {answer.headers["docker-content-digest"], "" if engine == "buildah" else None}
        entries = {each["platform"]["architecture"]: each["digest"] for each in answer.json()["manifests"]}
        for platform, own in names.items():
            there = registry.manifest("two", own.rpartition(":")[2])
            assert entries[platform.rpartition("/")[2]] == there.headers["docker-content-digest"]
            assert json.loads(there.content)["config"]["digest"] == used.inspect(own).id
    finally:
        for each in (name, *names.values()):
            if engine != "docker":
                subprocess.run([engine, "manifest", "rm", each], check=False, capture_output=True)
            subprocess.run([engine, "rmi", "--force", each], check=False, capture_output=True)
