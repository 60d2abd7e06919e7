"""An image that a test built, and how it came about."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from layers import Saved

from tiffin.bundler import bundles
from tiffin.bundler.bundles import Bundle
from tiffin.bundler.containerize import Image
from tiffin.bundler.engines.choose import choose
from tiffin.bundler.engines.docker import DockerEngine
from tiffin.bundler.engines.steps import CACHED


class Built(NamedTuple):
    """An image, and how it came about."""

    engine: str
    image: Image
    steps: list[str]
    """What its build told, in order."""

    @property
    def name(self) -> str:
        return self.image.tags[0]

    @property
    def program(self) -> str:
        """What runs it."""
        return "podman" if self.engine == "buildah" else self.engine

    @property
    def ran(self) -> list[str]:
        """The `RUN` steps that were not taken from the cache."""
        cached = {step.removesuffix(CACHED) for step in self.steps if step.endswith(CACHED)}
        return [
            step
            for step in dict.fromkeys(self.steps)
            if step.startswith("RUN ") and step not in cached and not step.endswith(CACHED)
        ]

    @contextmanager
    def saved(self, folder: Path) -> Iterator[Saved]:
        """What it consists of; its archive is removed at the end."""
        path = folder / "saved.tar"
        choose(self.engine).engine.save(self.image.id, path, lambda text, done, total: None)
        saved = Saved(path)
        try:
            yield saved
        finally:
            saved.close()
            path.unlink()


class Make(Protocol):
    """The fixture `make`: builds an image of a bundle."""

    def __call__(self, engine: str, bundle: Bundle, **options: object) -> Built: ...


@contextmanager
def plain_build(
    engine: str, bundle: Bundle, name: str, folder: Path, *, from_archive: bool = False
) -> Iterator[None]:
    """No command of tiffin: the Dockerfile of the bundle, in the folder that its archive unpacks to.

    The images that it builds on must be there. The image is removed at the end.

    Args:
        folder: to unpack into.
        from_archive: the engine reads the archive itself.
    """
    archive = bundles.export(bundle.tag, folder / "bundle.tar")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    (unpacked,) = [path.parent for path in (folder / "unpacked").rglob("bundle.yaml")]
    dockerfile = "env/docker/Dockerfile"
    found = choose(engine).engine
    # A docker on the PATH may lack BuildKit.
    program = found._client.program if isinstance(found, DockerEngine) else engine
    if not found.link:  # what docs/12-images.md says to do then
        text = (unpacked / dockerfile).read_text()
        dockerfile = str(folder / "Dockerfile.plain")
        Path(dockerfile).write_text(text.replace("COPY --link", "COPY"))
        if from_archive and engine == "docker":  # which looks for it in there
            with tarfile.open(archive, "a") as packed:
                packed.add(dockerfile, "Dockerfile.plain")
            dockerfile = "Dockerfile.plain"
    context = "-" if from_archive else "."
    command = [program, "build", "--network", "host", "-f", dockerfile, "-t", name, context]
    command[2:2] = ["--layers"] if engine == "buildah" else []  # steps from its cache, as docker has them
    env = {**os.environ, "DOCKER_BUILDKIT": "1"}
    with Path(archive if from_archive else os.devnull).open("rb") as stdin:
        subprocess.run(command, cwd=unpacked, check=True, env=env, stdin=stdin)
    try:
        yield
    finally:
        remove = ["rmi"] if engine == "buildah" else ["image", "rm"]
        subprocess.run([engine, *remove, "--force", name], check=False, capture_output=True)
