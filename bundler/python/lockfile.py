"""Reading `requirements.lock`: which packages an image gets, and how sure their bytes are.

The format is that of `uv pip compile --generate-hashes`: a requirement a line, continued with `\\`, with its
hashes; https://pip.pypa.io/en/stable/reference/requirements-file-format/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from ...errors import IntegrityError

if TYPE_CHECKING:
    from .wheel import Wheel

PYTHON_FOLDER = "env/python/"
REQUIREMENTS_FILE = "env/python/requirements.in"
LOCK_FILE = "env/python/requirements.lock"
"""For Linux on the processor of the machine that built the bundle."""
LOCK_PATTERN = re.compile(r"env/python/requirements\.[a-z0-9]+-[a-z0-9]+\.lock")
"""For other platforms: `platform_lock`."""
WHEELS_FOLDER = "env/python/wheels/"
"""tiffin's own, and those of packages that no index has."""

_PINNED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*(?P<version>[^\s;]+)")
_ADDRESSED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*@\s*(?P<url>[^\s;]+)")
_LOCAL = re.compile(r"\./wheels/[^-]+-(?P<version>[^-]+)-\S+\.whl")
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class Locked(msgspec.Struct, kw_only=True, frozen=True):
    """One package of a lock."""

    name: str
    """Canonical: lower case, hyphens."""
    version: str = ""
    """Empty for one that has an address; a wheel of the bundle tells it."""
    url: str = ""
    """`git+https://…` or the address of a file; empty for one from an index."""
    marker: str = ""
    """Where it is installed, `sys_platform == 'linux'`; empty: everywhere."""
    hashes: tuple[str, ...] = ()
    """sha256 of each of its files, 64 hexadecimal digits."""


def platform_lock(platform: str) -> str:
    """`env/python/requirements.linux-arm64.lock` of `linux/arm64`; a variant behind it has the same files."""
    return f"env/python/requirements.{'-'.join(platform.split('/')[:2])}.lock"


def read_lock(text: str) -> list[Locked]:
    """The packages of a lock in its order; options and comments are passed over.

    Raises:
        IntegrityError: a line that is neither pinned nor addressed.
    """
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        requirement = line.split(" #")[0].strip()
        if not requirement or requirement.startswith(("#", "-")):
            continue
        head, _, marker = requirement.partition(" --hash")[0].partition(";")
        match = _PINNED.fullmatch(head.strip()) or _ADDRESSED.fullmatch(head.strip())
        if match is None:
            raise IntegrityError(f"requirements.lock has the line {line.strip()!r}, which pins nothing")
        parts = match.groupdict()
        local = _LOCAL.fullmatch(parts.get("url") or "")
        found.append(
            Locked(
                name=re.sub(r"[-_.]+", "-", parts["name"]).lower(),
                version=local["version"] if local else parts.get("version") or "",
                url=parts.get("url") or "",
                marker=marker.strip(),
                hashes=tuple(_HASH.findall(requirement)),
            )
        )
    return found


def without_hash(packages: Iterable[Locked]) -> list[str]:
    """Names of those whose bytes nobody can check: `pip` cannot hash what it gets from a repository."""
    return [package.name for package in packages if not package.hashes]


def from_any_index(text: str) -> bool:
    """Whether each package may come from whichever of several indexes has it: its hash, or its address, says
    which file it is. Otherwise only the first index that knows its name may give it."""
    if "--extra-index-url" not in text:
        return False
    return all(package.hashes or package.url for package in read_lock(text))


def read_requirements(text: str) -> list[Locked]:
    """The packages of `requirements.in`, for a bundle without a lock; most have no version there."""
    found = []
    for line in text.splitlines():
        requirement = line.partition(" #")[0].strip()
        if not requirement or requirement.startswith(("#", "-")):
            continue
        head = requirement.partition(";")[0].strip()
        match = _PINNED.fullmatch(head) or _ADDRESSED.fullmatch(head) or _NAMED.match(head)
        if match is not None:
            parts = match.groupdict()
            name = re.sub(r"[-_.]+", "-", parts["name"]).lower()
            found.append(Locked(name=name, version=parts.get("version") or "", url=parts.get("url") or ""))
    return found


def with_hashes(text: str, pinned: Mapping[str, Locked]) -> str:
    """A lock of uv's with the hashes that another lock has for the same packages.

    Args:
        text: the lock.
        pinned: canonical name to what the other lock says.

    Raises:
        IntegrityError: it chose another version.
    """
    blocks = []
    for block in _blocks(text):
        package = next(iter(read_lock(block)), None)
        kept = pinned.get(package.name) if package is not None else None
        if package is None or kept is None:
            blocks.append(block)
            continue
        if kept.version and kept.version != package.version:
            raise IntegrityError(
                f"{package.name} is {kept.version} in the project's lock and became {package.version}"
            )
        head = block.partition(" \\\n")[0].rstrip("\n")
        hashes = kept.hashes or package.hashes
        blocks.append(" \\\n".join([head, *(f"    --hash=sha256:{digest}" for digest in hashes)]) + "\n")
    return "".join(blocks)


def with_names(text: str, wheels: Iterable[Wheel]) -> str:
    """A lock of uv's in which wheels of the bundle have their names: uv writes only `./wheels/…`."""
    for wheel in wheels:
        name = re.sub(r"[-_.]+", "-", wheel.name.partition("-")[0]).lower()
        line = re.compile(
            rf"^(?:[\w.-]+(?P<extras>\[[^\]]*\])? @ )?(?:file://\S*|\.)/wheels/{re.escape(wheel.name)}(?P<more>\[[^\]]*\])?",
            re.MULTILINE,
        )
        text = line.sub(
            lambda found, name=name, wheel=wheel: (  # type: ignore[misc]
                f"{name}{found['extras'] or found['more'] or ''} @ ./wheels/{wheel.name}"
            ),
            text,
        )
    return text


def _blocks(text: str) -> list[str]:
    """Each requirement with the lines that continue it."""
    blocks: list[str] = []
    continued = False
    for line in text.splitlines(keepends=True):
        if continued:
            blocks[-1] += line
        else:
            blocks.append(line)
        continued = line.rstrip("\n").endswith("\\")
    return blocks
