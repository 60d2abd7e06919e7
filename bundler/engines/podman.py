"""Podman: https://docs.podman.io/en/latest/markdown/podman-build.1.html"""

from __future__ import annotations

from .buildah_log import BuildahLog
from .commands import CommandEngine, find_program
from .engine import BuildRequest
from .steps import Steps


def find() -> PodmanEngine:
    """
    Raises:
        ImageError: not installed, or it does not answer.
    """
    return PodmanEngine(*find_program("podman", ["version", "--format", "{{.Client.Version}}"]))


class PodmanEngine(CommandEngine):
    name = "podman"
    link_since = (5, 6)  # the first with buildah 1.41: https://github.com/containers/buildah/issues/4325

    def log(self, steps: Steps) -> BuildahLog:
        return BuildahLog(steps)

    def own_options(self, request: BuildRequest) -> list[str]:
        return buildah_options(request)

    def gpu_options(self, gpus: str) -> list[str]:
        """By the names of the Container Device Interface, which podman knows since 4.1."""
        if gpus == "all":
            return ["--device", "nvidia.com/gpu=all"]
        return [part for number in range(int(gpus)) for part in ("--device", f"nvidia.com/gpu={number}")]


def buildah_options(request: BuildRequest) -> list[str]:
    """Keep layers, and HEALTHCHECK, which the OCI format has no place for;
    keep no container of a step that failed."""
    options = ["--layers", "--force-rm", "--format", "docker"]
    return [*options, "--timestamp", str(request.timestamp)] if request.timestamp else options
