"""Running uv, which locks and builds: https://docs.astral.sh/uv/reference/cli/."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TIMEOUT_S = 300.0
MISSING = "uv is not installed: pip install 'tiffin[lock]'"
# Nobody answered, or nobody who knows packages; a 401, 403 or 404 is an answer. Words of uv, git and ssh.
_UNREACHED = (
    "network was disabled", "error sending request", "HTTP status server error", "429 Too Many Requests",
    "407 Proxy Authentication Required", "Could not resolve host", "Failed to connect to",
    "Couldn't connect to", "Connection refused", "Connection timed out", "Network is unreachable",
)  # fmt: skip
_REASON_LINES = 3
_REASON_LENGTH = 500


def find_uv() -> str | None:
    """The program; None: it is not installed."""
    try:
        from uv import find_uv_bin
    except ImportError:
        return shutil.which("uv")
    try:
        return str(find_uv_bin())
    except FileNotFoundError:
        return shutil.which("uv")


def run_uv(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """
    Raises:
        subprocess.TimeoutExpired: it took more than `TIMEOUT_S`.
    """
    return subprocess.run(
        command,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def unreached(words: str) -> bool:
    """Whether uv failed because no index, or no host of a package, could be reached.

    Args:
        words: what uv wrote.
    """
    return any(mark in words for mark in _UNREACHED)


def reason(text: str) -> str:
    """The beginning of what uv said, in one line."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return (
        "uv: " + "; ".join(lines[:_REASON_LINES])[:_REASON_LENGTH]
        if lines
        else "uv failed and did not say why"
    )
