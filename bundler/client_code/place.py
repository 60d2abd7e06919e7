"""Writes a client to where it was asked for, whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import BuildError
from .write import LANGUAGES

_BY_ENDING = {".py": "python", ".ts": "typescript", ".mts": "typescript"}


def language_of(path: Path | None, wanted: str) -> str:
    """The language that was asked for, else that of the file's ending.

    Raises:
        BuildError: neither says it.
    """
    if wanted:
        return wanted
    found = _BY_ENDING.get(path.suffix if path is not None else "", "")
    if not found:
        raise BuildError("which language? --lang python, --lang typescript, or -o FILE.py, -o FILE.ts")
    return found


def file_name(document: Mapping[str, Any], language: str) -> str:
    """`iris_client.py`, `iris-client.ts`: what a client is called in a folder."""
    words = re.findall(r"[A-Za-z0-9]+", str(document.get("info", {}).get("title", "")))
    joint = "_" if language == "python" else "-"
    return f"{joint.join([*words, 'client']).lower()}.{LANGUAGES[language]}"


def put(path: Path, text: str) -> None:
    """Replaces the file.

    Raises:
        BuildError: it cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".client-", delete=False) as scratch:
            try:
                scratch.write(text)
                scratch.flush()
                umask = os.umask(0)
                os.umask(umask)
                Path(scratch.name).chmod(0o666 & ~umask)
                Path(scratch.name).replace(path)
            except BaseException:
                Path(scratch.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BuildError(f"cannot write {path}: {error.strerror}") from error
