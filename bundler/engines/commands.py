"""Engines that are driven by their command line alone: podman, buildah, nerdctl.

They take a folder as the context; the bundle's own is read in place, so that models are not copied.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import ImageError, NotFoundError
from ..bar import Progress
from .causes import explain, push_failed
from .command import PUSH_LIMIT_S, ask, follow
from .docker import build_options, first_port
from .engine import BuildRequest, Container, ImageFacts, RunRequest
from .found import numbers, programs
from .process_container import CommandContainer
from .step_processes import fail_step
from .steps import Steps

_READ_BY_ENGINES = (
    *("LD_", "XDG_", "TMP", "CONTAINER", "BUILDAH_", "STORAGE_", "REGISTRY_"),
    *("NERDCTL_", "DOCKER_"),
)
"""How the names of variables begin that podman and nerdctl take settings from."""


class CommandEngine:
    """What they have in common."""

    name: str
    link_since: tuple[int, ...]
    """First version that knows `COPY --link`."""
    arranged = False
    joins = True

    def __init__(self, program: str, version: str) -> None:
        self.program = program
        self.version = version
        self.link = numbers(version) >= self.link_since

    def log(self, steps: Steps) -> Callable[[str], None]:
        """Reads what `build` prints."""
        raise NotImplementedError

    def own_options(self, request: BuildRequest) -> list[str]:
        """Of its `build`."""
        raise NotImplementedError

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Ends a build early."""
        fail_step(process)

    def build(self, request: BuildRequest, on_progress: Progress) -> str:
        steps = Steps(on_progress)
        with tempfile.TemporaryDirectory(prefix="tiffin-image-") as scratch:
            folder = Path(scratch)
            (folder / "Dockerfile").write_text(request.dockerfile, encoding="utf-8")
            command = [self.program, "build", "--file", str(folder / "Dockerfile")]
            command += ["--iidfile", str(folder / "id"), *self.own_options(request), *build_options(request)]
            code = follow([*command, str(request.folder)], self.log(steps), stop=self.stop)
            if code != 0:
                raise ImageError(explain(self.name, steps, code))
            return (folder / "id").read_text().strip()

    def inspect(self, image: str) -> ImageFacts:
        try:
            text = ask([self.program, "image", "inspect", image])
        except ImageError as error:
            raise NotFoundError(f"{self.name} has no image {image}") from error
        return facts(json.loads(text)[0])

    def push(self, image: str, on_progress: Progress) -> str:
        on_progress(f"push {image}", 0, 0)
        with tempfile.TemporaryDirectory(prefix="tiffin-image-") as scratch:
            file = Path(scratch) / "digest"
            self.send(["push", "--digestfile", str(file)], image)
            return file.read_text().strip()

    def send(self, command: Sequence[str], image: str, *target: str) -> None:
        """To its registry."""
        try:
            ask([self.program, *command, image, *target], limit_s=PUSH_LIMIT_S)
        except ImageError as error:
            raise ImageError(push_failed(self.name, image, str(error))) from error

    def forget(self, name: str) -> list[str]:
        """Arguments that take a name from an image, which stays where it has other names."""
        return ["untag", name, name]  # with the image alone it would lose all of them

    def join(self, name: str, images: Sequence[str]) -> None:
        """As a manifest list, https://docs.podman.io/en/latest/markdown/podman-manifest.1.html."""
        stored = [self.inspect(image).id.removeprefix("sha256:") for image in images]
        for command in (["manifest", "rm", name], self.forget(name)):  # an earlier build's list, or image
            with suppress(ImageError):
                ask([self.program, *command])
        ask([self.program, "manifest", "create", name])
        try:
            for each in stored:
                ask([self.program, "manifest", "add", name, f"containers-storage:{each}"])
        except BaseException:
            with suppress(ImageError):
                ask([self.program, "manifest", "rm", name])
            raise

    def push_joined(self, name: str, images: Sequence[str], on_progress: Progress) -> str:  # noqa: ARG002
        on_progress(f"push {name}", 0, 0)
        with tempfile.TemporaryDirectory(prefix="tiffin-image-") as scratch:
            file = Path(scratch) / "digest"
            command = ["manifest", "push", "--all", "--format", "v2s2", "--digestfile", str(file)]
            self.send(command, name, f"docker://{name}")
            return file.read_text().strip()

    def save(self, image: str, path: Path, on_progress: Progress) -> None:
        on_progress("write the image", 0, 0)
        path.unlink(missing_ok=True)
        ask(
            [self.program, "save", "--format", "docker-archive", "--output", str(path), image],
            limit_s=PUSH_LIMIT_S,
        )

    def run(self, request: RunRequest) -> Container:
        command = [self.program, "create"]
        command += ["--name", request.name] if request.name else []
        command += ["--publish", f"{request.host_in_url}:{request.port or ''}:{request.container_port}"]
        for inside, outside in request.more_ports.items():
            command += ["--publish", f"{request.host_in_url}:{outside}:{inside}"]
        command += self.gpu_options(request.gpus) if request.gpus else []
        variables, inherited = _environment(request.env)
        command += [*variables, request.image, *request.options]
        made = ask(command, env=inherited).strip().splitlines()
        container = CommandContainer(self.program, made[-1], request.container_port)
        try:
            ask([self.program, "start", container.id])
        except BaseException:  # a port that is taken, no driver for GPUs
            container.remove()
            raise
        return container

    def gpu_options(self, gpus: str) -> list[str]:
        return ["--gpus", gpus]


def _environment(env: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Options, and the environment that they take values from: command lines are shown to everybody.

    What the program itself would read, or has with another value, is on the command line nevertheless.
    """
    own = {
        key
        for key, value in env.items()
        if key.startswith(_READ_BY_ENGINES) or os.environ.get(key, value) != value
    }
    options = [
        part for key, value in env.items() for part in ("--env", f"{key}={value}" if key in own else key)
    ]
    return options, {key: value for key, value in env.items() if key not in own}


def find_program(name: str, ask_version: list[str]) -> tuple[str, str]:
    """The program and its version.

    Raises:
        ImageError: not installed, or it does not answer.
    """
    found = programs(name)
    if not found:
        raise ImageError(f"{name} is not installed")
    version = ask([found[0], *ask_version]).strip()
    return found[0], ".".join(map(str, numbers(version)))


def facts(found: dict[str, Any]) -> ImageFacts:
    """From the form of `image inspect` that podman and nerdctl took over from docker."""
    config = found.get("Config") or {}
    image_id = str(found["Id"])
    return ImageFacts(
        id=image_id if ":" in image_id else f"sha256:{image_id}",
        size_bytes=int(found.get("Size") or 0),
        layers=list((found.get("RootFS") or {}).get("Layers") or []),
        port=first_port(config.get("ExposedPorts")),
        platform=f"{found['Os']}/{found['Architecture']}",
        labels=dict(config.get("Labels") or {}),
        env=dict(entry.partition("=")[::2] for entry in config.get("Env") or []),
    )
