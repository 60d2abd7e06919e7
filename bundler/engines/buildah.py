"""Buildah, which builds and pushes; what runs its images is podman, out of the same store.

https://github.com/containers/buildah/blob/main/docs/buildah-build.1.md
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ...errors import ImageError, NotFoundError
from ..bar import Progress
from .buildah_log import BuildahLog
from .command import PUSH_LIMIT_S, ask
from .commands import CommandEngine, find_program
from .docker import first_port
from .engine import BuildRequest, Container, ImageFacts, RunRequest
from .podman import buildah_options
from .podman import find as find_podman
from .registries_conf import speaks_plain_http
from .steps import Steps


def find() -> BuildahEngine:
    """
    Raises:
        ImageError: not installed, or it does not answer.
    """
    return BuildahEngine(*find_program("buildah", ["--version"]))


class BuildahEngine(CommandEngine):
    name = "buildah"
    link_since = (1, 41)  # https://github.com/containers/buildah/issues/4325

    def log(self, steps: Steps) -> BuildahLog:
        return BuildahLog(steps)

    def own_options(self, request: BuildRequest) -> list[str]:
        return buildah_options(request)

    def inspect(self, image: str) -> ImageFacts:
        try:
            found = json.loads(ask([self.program, "inspect", "--type", "image", image]))
            (listed,) = json.loads(ask([self.program, "images", "--json", image]))
        except ImageError as error:
            raise NotFoundError(f"buildah has no image {image}") from error
        config = found["Docker"]["config"] or {}
        return ImageFacts(
            id=f"sha256:{found['FromImageID']}",
            size_bytes=_bytes(listed["size"]),
            layers=list(found["Docker"]["rootfs"]["diff_ids"]),
            port=first_port(config.get("ExposedPorts")),
            platform=f"{found['Docker']['os']}/{found['Docker']['architecture']}",
            labels=dict(config.get("Labels") or {}),
            env=dict(entry.partition("=")[::2] for entry in config.get("Env") or []),
        )

    def forget(self, name: str) -> list[str]:
        return ["rmi", name]

    def push_joined(self, name: str, images: Sequence[str], on_progress: Progress) -> str:  # noqa: ARG002
        """Buildah 1.28 says no digest of a list; with `--digestfile` it ends with 0 when a push fails, and
        it does not read here which registries speak plain HTTP."""
        on_progress(f"push {name}", 0, 0)
        plain = ["--tls-verify=false"] if speaks_plain_http(name) else []
        self.send(["manifest", "push", "--all", "--format", "v2s2", *plain], name, f"docker://{name}")
        return ""

    def save(self, image: str, path: Path, on_progress: Progress) -> None:
        on_progress("write the image", 0, 0)
        path.unlink(missing_ok=True)
        ask([self.program, "push", image, f"docker-archive:{path}:{image}"], limit_s=PUSH_LIMIT_S)

    def run(self, request: RunRequest) -> Container:
        try:
            podman = find_podman()
        except ImageError as error:
            raise ImageError(
                f"buildah builds images and does not run services; podman does, but {error}"
            ) from error
        return podman.run(request)


def _bytes(size: str) -> int:
    """`380 MB`: it tells no more digits."""
    number, _, unit = size.partition(" ")
    return int(float(number) * {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}[unit.upper()])
