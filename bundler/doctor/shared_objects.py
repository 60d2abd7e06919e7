"""Which libraries the installed wheels want of the system, and which of these are not here.

As the loader would find out (ld.so(8)), but for the whole environment at once: what is in any wheel counts as
found, because packages load each other's libraries before they need them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from .elf import libraries_of

_RECORDED = re.compile(r"^\"?([^,\n\"]+\.so(?:\.[0-9.]+)?)\"?,", re.MULTILINE)
_EXTENSION = re.compile(r"\.(?:cpython-[^.]+|abi3)\.so$")
_FOLDERS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib", "/lib/{0}", "/usr/lib/{0}")
_MULTIARCH = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_ALWAYS = re.compile(r"ld-linux.*|ld-musl.*|linux-vdso.*|libpython3.*")
"""The loader itself, and Python, which is in the process already."""


class Missing(NamedTuple):
    library: str
    package: str
    """Canonical name of who wants it."""
    file: str
    """Its shared object, relative to site-packages."""


class Objects:
    """Shared objects of packages.

    Args:
        info_folders: canonical name to `….dist-info`, of everything that is installed.
    """

    def __init__(self, info_folders: Mapping[str, Path]) -> None:
        self._files: dict[str, list[Path]] = {}
        self._by_name: dict[str, Path] = {}
        for package, info in info_folders.items():
            files = _recorded(info)
            if files:
                self._files[package] = files
                for file in files:
                    self._by_name.setdefault(file.name, file)
        self._needed: dict[Path, tuple[str, ...]] = {}

    def wanted(self, packages: Iterable[str]) -> dict[str, Missing]:
        """Libraries that no installed wheel brings, each with the first who wants it.

        What Python imports, and all that this asks for; of a package without extension modules, every
        shared object. Plug-ins that a library opens by itself are left out: it does without them.
        """
        found: dict[str, Missing] = {}
        for package in sorted(packages):
            files = self._files.get(package, [])
            roots = [file for file in files if _EXTENSION.search(file.name)]
            if not roots and not package.startswith("nvidia-"):
                roots = files
            for library, file in self._open(roots):
                if library not in self._by_name and not _ALWAYS.fullmatch(library):
                    found.setdefault(library, Missing(library, package, "/".join(file.parts[-2:])))
        return found

    def _open(self, roots: Iterable[Path]) -> Iterable[tuple[str, Path]]:
        pending, seen = list(roots), set(roots)
        while pending:
            file = pending.pop()
            if file not in self._needed:
                self._needed[file] = libraries_of(file)
            for library in self._needed[file]:
                yield library, file
                inside = self._by_name.get(library)
                if inside is not None and inside not in seen:
                    seen.add(inside)
                    pending.append(inside)


def system_libraries(arch: str, environ: Mapping[str, str], root: Path = Path("/")) -> set[str]:
    """Names of the libraries that the loader finds on this system.

    Args:
        root: `/`, or a folder that stands for it in tests.
    """
    folders = [root / each.format(_MULTIARCH.get(arch, arch)).lstrip("/") for each in _FOLDERS]
    folders += [Path(each) for each in environ.get("LD_LIBRARY_PATH", "").split(":") if each]
    folders += [root / each.lstrip("/") for each in _configured(root)]
    if root == Path("/"):
        folders += [Path(sys.prefix) / "lib", Path(sys.base_prefix) / "lib"]
    names: set[str] = set()
    for folder in folders:
        try:
            names.update(name for name in os.listdir(folder) if ".so" in name)  # noqa: PTH208 - names only
        except OSError:  # noqa: PERF203 - a folder that is not here
            continue
    return names


def _configured(root: Path) -> list[str]:
    """Folders of `/etc/ld.so.conf.d`."""
    found = []
    for file in sorted((root / "etc/ld.so.conf.d").glob("*.conf")):
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        found += [line.strip() for line in lines if line.strip().startswith("/")]
    return found


def _recorded(info: Path) -> list[Path]:
    """Shared objects of a wheel, from its RECORD."""
    try:
        text = (info / "RECORD").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [info.parent / name for name in _RECORDED.findall(text)] if ".so" in text else []
