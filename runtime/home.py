"""`TIFFIN_HOME`: the one folder that holds the store. Nothing else is global."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """`$TIFFIN_HOME`, else `~/.tiffin`. Not created here."""
    return Path(os.environ.get("TIFFIN_HOME") or Path.home() / ".tiffin").absolute()


def models_folder() -> Path:
    """`<home>/models/<name>/<version>/`"""
    return home() / "models"


def bundles_folder() -> Path:
    """`<home>/bundles/<name>/<version>/`"""
    return home() / "bundles"
