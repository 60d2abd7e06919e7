"""Where a model or a bundle was made: for people who ask later, never part of a digest."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from .. import __version__

_TIMEOUT_S = 10.0


def provenance(folder: Path | None = None) -> dict[str, Any]:
    """Host, tool, and the git commit when the folder is in a repository.

    `git.dirty` is True when files of the folder differ from that commit. No address of a remote is kept: it
    may hold a password.

    Args:
        folder: the project; None: the working folder, and the running script is named too.
    """
    found: dict[str, Any] = {
        "host": platform.node(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "tiffin": __version__,
    }
    if folder is None and Path(sys.argv[0]).is_file():
        found["script"] = Path(sys.argv[0]).name
    folder = folder or Path.cwd()
    git = shutil.which("git")
    commit = _git(git, folder, "rev-parse", "HEAD") if git else None
    if git and commit:
        found["git"] = {
            "commit": commit,
            "dirty": bool(_git(git, folder, "status", "--porcelain", "--", ".")),
        }
    return found


def _git(git: str, folder: Path, *arguments: str) -> str | None:
    """Output of a git command; None when it fails: no repository, no commit yet."""
    try:
        done = subprocess.run(
            [git, "-C", str(folder), *arguments],
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
