"""What is installed in this environment, read from the names of folders: no metadata is parsed to list it.

https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from .line import name_of
from .needs import canonical

_INFO = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-py\d.*)?\.(?:dist-info|egg-info)")
"""`numpy-2.1.0.dist-info`, and what setuptools alone writes: `toml-0.10.2-py3.11.egg-info`."""
_EXTRA = re.compile(r"""\bextra\s*==\s*["']""")


def info_folders(paths: Iterable[str] | None = None) -> dict[str, Path]:
    """Canonical name to its `….dist-info`; the first on the path counts, as it does for an import."""
    found: dict[str, Path] = {}
    for entry in sys.path if paths is None else paths:
        folder = Path(entry or ".")
        if not folder.is_dir():
            continue
        for info in [*folder.glob("*.dist-info"), *folder.glob("*.egg-info")]:
            if match := _INFO.fullmatch(info.name):
                found.setdefault(canonical(match["name"]), info)
    return found


def versions_of(folders: Mapping[str, Path]) -> dict[str, str]:
    """Canonical name to version, of what `info_folders` gave."""
    found = {}
    for name, folder in folders.items():
        if match := _INFO.fullmatch(folder.name):
            found[name] = match["version"].replace("_", "-")
    return found


def closure(roots: Iterable[str], packages: Mapping[str, str]) -> dict[str, str]:
    """Those of the packages that the roots need, with the roots; what only an extra needs is left out.

    Args:
        roots: canonical names.
        packages: what is installed, to its version.
    """
    found: dict[str, str] = {}
    pending = [name for name in roots if name in packages]
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found[name] = packages[name]
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        needed = (name_of(line) for line in lines if not _EXTRA.search(line))
        pending += [each for each in needed if each in packages and each not in found]
    return found
