"""Tells when the source of a service changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

IGNORED_FOLDERS = (
    ".git", ".hg", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache",
    ".ipynb_checkpoints", ".idea", ".vscode", ".tox", ".nox", "node_modules", "site-packages",
)  # fmt: skip
IGNORED_SUFFIXES = (".pyc", ".pyo", ".swp", ".swx", ".tmp", ".log", "~")
SETTLE_MS = 100
"""An editor writes a file in several steps and a checkout many files: they are one change."""


def matters(path: str, folder: Path) -> bool:
    """Whether a change of this file can change the service."""
    try:
        parts = Path(path).relative_to(folder).parts
    except ValueError:
        return False
    return not any(part in IGNORED_FOLDERS for part in parts) and not path.endswith(IGNORED_SUFFIXES)


async def watch(folder: Path, stop: asyncio.Event, on_change: Callable[[list[str]], None]) -> None:
    """Calls `on_change` with the changed files, relative to `folder`, once a burst, until `stop` is set.

    Once this has begun to wait no change is missed.

    Args:
        folder: without symbolic links.

    Raises:
        OSError: the system cannot watch that many folders.
    """
    from watchfiles import awatch

    watched = awatch(
        folder,
        watch_filter=lambda _, path: matters(path, folder),
        debounce=SETTLE_MS * 16,
        step=SETTLE_MS,
        stop_event=stop,
    )
    async for burst in watched:
        on_change(sorted({str(Path(path).relative_to(folder)) for _, path in burst}))
