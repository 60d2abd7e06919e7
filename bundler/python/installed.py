"""What is installed in this environment: which distribution a module is of, and where that came from.

https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distributions
from importlib.metadata import distribution as find_distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from .needs import canonical

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class InstalledPackages:
    """A look at the environment, taken once; finding one distribution reads only file lists, no metadata."""

    def __init__(self, found: list[Distribution] | None = None) -> None:
        self._distributions = list(distributions()) if found is None else found
        self._files: list[tuple[Distribution, str]] | None = None

    def of_module(self, module: str) -> list[Distribution]:
        """The distributions that a module belongs to; several for a namespace of theirs, or a clash.

        Args:
            module: `google.cloud.storage.Client`; what is no module behind the last dot does not matter.
        """
        if not _DOTTED.fullmatch(module):
            return []
        parts = module.split(".")
        found: list[Distribution] = []
        for depth in range(1, len(parts) + 1):
            here = self._holding("/".join(parts[:depth]))
            if not here:
                break
            found = here
            if len(here) == 1:
                break
        if len(found) > 1:  # those that have the package itself, not a part of it
            found = self._holding("/".join(parts[:1]) + "/__init__") or found
        return found or self._editable(parts[0])

    def _holding(self, path: str) -> list[Distribution]:
        marks = (
            f"\n{path}/",
            f"\n{path}.py,",
            f"\n{path}.so,",
            f"\n{path}.cpython-",
            f"\n{path}.abi3",
            f"\n{path}.cp3",
        )
        found = (each for each, text in self._texts() if any(mark in text for mark in marks))
        return _unique(map(self._installed, found))

    def _installed(self, each: Distribution) -> Distribution:
        """An egg-info beside its source is what a build left there; installed is another of that name."""
        if each.read_text("RECORD") is not None:
            return each
        name = name_of_distribution(each)
        others = (other for other in self._distributions if other.read_text("RECORD") is not None)
        return next((other for other in others if name_of_distribution(other) == name), each)

    def _texts(self) -> list[tuple[Distribution, str]]:
        if self._files is None:
            self._files = [(each, f"\n{_record(each)}") for each in self._distributions]
        return self._files

    def _editable(self, top: str) -> list[Distribution]:
        """An editable distribution lists no modules: its folder tells."""
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return []
        places = (
            [spec.origin]
            if spec and spec.origin
            else list(getattr(spec, "submodule_search_locations", None) or [])
        )
        for each in self._distributions:
            folder = local_folder(each)
            if folder and any(Path(place).resolve().is_relative_to(folder) for place in places if place):
                return [each]
        return []


def installed(name: str) -> Distribution | None:
    """A distribution by name; None: it is not there."""
    try:
        return find_distribution(name)
    except PackageNotFoundError:
        return None


def name_of_distribution(each: Distribution) -> str:
    """Canonical name."""
    return canonical(each.metadata["Name"] or "")


def public_version(version: str) -> str:
    """`2.5.1` of `2.5.1+cpu`, which is a build of it that most indexes do not have."""
    return version.partition("+")[0]


def direct_url(each: Distribution) -> dict[str, Any]:
    """Of a distribution that came from no index: https://packaging.python.org/en/latest/specifications/direct-url/."""
    text = each.read_text("direct_url.json")
    try:
        found = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def local_folder(each: Distribution) -> Path | None:
    """The folder of an editable distribution."""
    found = direct_url(each)
    if not (found.get("dir_info") or {}).get("editable"):
        return None
    return Path(unquote(urlsplit(str(found.get("url", ""))).path)).resolve()


def extra_requirements(each: Distribution) -> dict[str, set[str]]:
    """Extra to the canonical names that only it brings."""
    from packaging.requirements import InvalidRequirement, Requirement

    always: set[str] = set()
    extras: dict[str, set[str]] = {}
    for line in each.requires or []:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        named = re.findall(r"""extra\s*==\s*["']([^"']+)""", str(wanted.marker or ""))
        for extra in named:
            extras.setdefault(extra, set()).add(canonical(wanted.name))
        if not named:
            always.add(canonical(wanted.name))
    return {extra: names - always for extra, names in extras.items()}


def _record(each: Distribution) -> str:
    text = each.read_text("RECORD")
    if text is None:  # an old egg-info
        tops = (each.read_text("top_level.txt") or "").split()
        text = "".join(f"{top}/__init__.py,\n{top}.py,\n" for top in tops)
    return text


def _unique(found: Iterator[Distribution]) -> list[Distribution]:
    names: dict[str, Distribution] = {}
    for each in found:
        names.setdefault(name_of_distribution(each), each)
    return [names[name] for name in sorted(names)]
