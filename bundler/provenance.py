"""Where a model or a bundle was made: for people who ask later, never part of a digest."""

from __future__ import annotations

import getpass
import os
import platform
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ConfigError
from ..runtime.service.bundlefile import BundleFile, find_bundlefile
from .git_state import git_state, git_version
from .snapshot import ignored_in, leaves_out

NO_PROVENANCE = "TIFFIN_NO_PROVENANCE"
"""1: who and where is not written down."""
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
GIVEN = ("data", "parent", "metrics")
"""What the user said of a model or bundle; kept whatever `TIFFIN_NO_PROVENANCE` says."""


def provenance(folder: Path | None = None, *, generated: bool = False) -> dict[str, Any]:
    """Who, where, with which tools, and what git knows of the folder; tools only when the user wishes so.

    Args:
        folder: the project; None: the working folder, and the running script is named too.
        generated: whether the bundle's source was written for it, so that `include` says nothing.

    Raises:
        ConfigError: `TIFFIN_NO_PROVENANCE` is neither 1 nor 0.
    """
    if not wanted():
        return tools()
    found: dict[str, Any] = {
        "host": platform.node(),
        "user": _user(),
        "system": platform.platform(),
        **tools(),
    }
    if git := git_version():
        found["tools"]["git"] = git
    if folder is None and Path(sys.argv[0]).is_file():
        found["script"] = Path(sys.argv[0]).name
    here = (folder or Path.cwd()).absolute()
    state = git_state(here, left_out=_left_out(here, generated=generated))
    if state is not None:
        found["git"] = state
    return {name: value for name, value in found.items() if value not in ("", {})}


def _left_out(folder: Path, *, generated: bool) -> Callable[[str], bool]:
    """Whether a file, by its path in the folder, is none of the bundle's, as its project says.

    The project is the nearest folder with a bundlefile or a `.bundleignore`, within the repository.
    """
    for parent in (folder, *folder.parents):
        try:
            wishes, ignored = find_bundlefile(parent), ignored_in(parent)
            said = wishes or BundleFile()
            out = leaves_out([] if generated else said.include, [*said.exclude, *ignored])
        except ConfigError:  # nobody knows what it would leave out; a build says what is wrong with it
            return lambda _: True
        if wishes is not None or ignored:
            return lambda path: out((folder / path).relative_to(parent).as_posix())
        if (parent / ".git").exists():
            break
    return leaves_out([], [])


def wanted() -> bool:
    """False where `TIFFIN_NO_PROVENANCE` is 1.

    Raises:
        ConfigError: it is neither 1 nor 0.
    """
    text = os.environ.get(NO_PROVENANCE, "").strip().lower()
    if text not in _YES + _NO:
        raise ConfigError(f"{NO_PROVENANCE}={text!r}: use 1 or 0")
    return text not in _YES


def tools() -> dict[str, Any]:
    """Versions that shaped what was made; they name nobody."""
    found: dict[str, Any] = {"python": platform.python_version(), "tiffin": __version__, "tools": {}}
    with suppress(PackageNotFoundError):  # it may be a program beside this environment
        found["tools"]["uv"] = version("uv")
    return found


def given_only(found: Mapping[str, Any]) -> dict[str, Any]:
    """What of somebody's provenance the user gave on purpose."""
    return {name: value for name, value in found.items() if name in GIVEN}


def _user() -> str:
    """Name of the account; empty in a container whose user has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
