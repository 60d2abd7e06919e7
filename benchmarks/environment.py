"""A Python environment for each peer, outside of the repository, made from the peer's pinned requirements."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(os.environ.get("BENCH_HOME") or Path.home() / ".cache" / "tiffin-bench")
VERSION = "3.11"
"""Of Python, for every peer: the newest that all of them take."""


class DidNotInstallError(Exception):
    """pip said no; the message is its reason."""


class Environment:
    """Of the peer in `folder`; without a `requirements.txt` it is the one that runs the benchmark."""

    def __init__(self, folder: Path) -> None:
        self.requirements = folder / "requirements.txt"
        self.place = HOME / folder.name
        self.own = self.requirements.exists()

    @property
    def python(self) -> Path:
        return self.place / "bin" / "python" if self.own else Path(sys.executable)

    def make(self) -> None:
        """Does nothing when it exists for these very requirements.

        Raises:
            DidNotInstallError: no such Python, or what pip complained of.
        """
        if not self.own:
            return
        made, wanted = self.place / "requirements.txt", self.requirements.read_text()
        if made.exists() and made.read_text() == wanted:
            return
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.parent.mkdir(parents=True, exist_ok=True)
        run([str(interpreter()), "-m", "venv", str(self.place)])
        run([str(self.python), "-m", "pip", "install", "--quiet", "--requirement", str(self.requirements)])
        made.write_text(wanted)

    def version(self, distribution: str) -> str:
        """Of a package in there."""
        code = f"from importlib.metadata import version; print(version({distribution!r}))"
        command = [str(self.python), "-c", code]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def versions(self) -> dict[str, str]:
        """All packages in there."""
        code = (
            "import json; from importlib.metadata import distributions;"
            "print(json.dumps({d.name: d.version for d in distributions()}))"
        )
        out = subprocess.run([str(self.python), "-c", code], check=True, capture_output=True, text=True)
        found: dict[str, str] = json.loads(out.stdout)
        return found


def interpreter() -> Path:
    """Python `VERSION`: this one, one on the path, or one of pyenv's.

    Raises:
        DidNotInstallError: there is none.
    """
    if f"{sys.version_info[0]}.{sys.version_info[1]}" == VERSION:
        return Path(sys.executable)
    if found := shutil.which(f"python{VERSION}"):
        return Path(found)
    for candidate in sorted((Path.home() / ".pyenv" / "versions").glob(f"{VERSION}.*/bin/python")):
        return candidate
    raise DidNotInstallError(f"no Python {VERSION} here: put python{VERSION} on the path")


def run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:] or ["no reason given"]
        raise DidNotInstallError(errors[-1].removeprefix("ERROR: ")[:200])
