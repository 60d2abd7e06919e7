"""Running uv, which locks and builds: https://docs.astral.sh/uv/reference/cli/."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TIMEOUT_S = 300.0
MISSING = "uv is not installed: pip install 'tiffin[lock]'"
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


def reason(text: str) -> str:
    """The beginning of what uv said, in one line."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return (
        "uv: " + "; ".join(lines[:_REASON_LINES])[:_REASON_LENGTH]
        if lines
        else "uv failed and did not say why"
    )
