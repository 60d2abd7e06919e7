"""nerdctl, for containerd: https://github.com/containerd/nerdctl/blob/main/docs/command-reference.md"""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..bar import Progress
from .buildkit_log import PlainLog
from .command import PUSH_LIMIT_S, ask, interrupt
from .commands import CommandEngine, find_program
from .engine import BuildRequest
from .steps import Steps


def find() -> NerdctlEngine:
    """
    Raises:
        ImageError: not installed, or containerd does not answer.
    """
    # `info` asks containerd, `version` would do without it.
    program, version = find_program("nerdctl", ["version", "--format", "{{.Client.Version}}"])
    ask([program, "info"])
    return NerdctlEngine(program, version)


class NerdctlEngine(CommandEngine):
    name = "nerdctl"
    link_since = (0,)  # its builds run on a BuildKit of their own, of any version since 0.10

    def log(self, steps: Steps) -> PlainLog:
        return PlainLog(steps)

    joins = False

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        interrupt(process)  # its steps are BuildKit's

    def own_options(self, request: BuildRequest) -> list[str]:  # noqa: ARG002 - the engine's signature
        return ["--progress", "plain"]

    def push(self, image: str, on_progress: Progress) -> str:
        on_progress(f"push {image}", 0, 0)
        self.send(["push"], image)
        names = ask([self.program, "image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', image])
        return next((line.rpartition("@")[2] for line in names.split() if "@" in line), "")

    def save(self, image: str, path: Path, on_progress: Progress) -> None:
        on_progress("write the image", 0, 0)
        ask([self.program, "save", "--output", str(path), image], limit_s=PUSH_LIMIT_S)
