"""One line of a requirements file, whoever writes it: bundlefile, `pip:` of conda, pyproject.

https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...errors import BuildError
from .lockfile import Locked
from .needs import Local, Needs, Wanted, canonical

EDITABLE = ("-e", "--editable")
_ADDRESS_OPTIONS = ("-i ", "--index-url", "--extra-index-url", "-f ", "--find-links")
_INDEX_OPTIONS = (*_ADDRESS_OPTIONS, "--no-binary", "--only-binary", "--pre", "--prefer-binary")
_IDLE = ("--pre", "--prefer-binary", "--require-hashes")
"""What says nothing once versions are locked; uv allows a pre-release where a version names one."""
# `git@` is how ssh says nobody in particular. Signed addresses carry their password behind the `?`.
_PASSWORD = re.compile(
    r"://(?!git@)[^/\s@]+@"
    r"|[?&](?:[\w.-]*(?:token|secret|passw|signature|credential)[\w.-]*|(?:\w+[-_])?key|sig|auth)=",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_NAMED_ADDRESS = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[(?P<extras>[^\]]*)\])?\s*@\s*(?P<address>\S+)"
    r"(?:\s*;\s*(?P<marker>.*))?"
)
_LOCAL_EXTRAS = re.compile(r"(?P<path>.+?)\[(?P<extras>[^\]]*)\]")
_HASH = re.compile(r"\s+--hash[=\s](?P<kind>\w+):(?P<digest>[0-9a-f]+)")
_EXACT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*(?P<version>[^\s;,*]+)\s*(?:;\s*(?P<marker>.*))?"
)


def name_of(line: str) -> str:
    """Canonical name of the package that a requirement is of; empty when it begins with none."""
    found = _NAME.match(line)
    return canonical(found[0]) if found else ""


def has_password(text: str) -> bool:
    """Whether an address in it carries a password."""
    return _PASSWORD.search(text) is not None


def read_line(line: str, where: str, folder: Path) -> Needs:
    """
    Args:
        line: without comment, blanks at its ends and continuation.
        where: who says so.
        folder: what relative paths are relative to.

    Raises:
        BuildError: a line that no other machine could follow, or a password.
    """
    if has_password(line):
        raise BuildError(
            f"{where}: a requirement carries a password in its address; bundles are shared, so give it to "
            "the installer instead: name the index and set UV_INDEX_<NAME>_PASSWORD, or use ~/.netrc"
        )
    if line.startswith(EDITABLE):
        line = re.sub(r"^(-e|--editable)[\s=]*", "", line)
        if "://" not in line or line.startswith("file://"):
            return _local(line, where, folder, editable=True)
    elif line.startswith("-"):
        return _option(line, where, folder)
    hashes = tuple(found["digest"] for found in _HASH.finditer(line) if found["kind"] == "sha256")
    line = _HASH.sub("", line).strip()
    if named := _NAMED_ADDRESS.fullmatch(line):
        if _is_local(named["address"]):
            return _local(
                named["address"], where, folder, name=named["name"], extras=named["extras"] or "",
                marker=named["marker"] or "",
            )  # fmt: skip
    elif _is_local(line):
        return _local(line, where, folder)
    if "file://" in line:
        raise BuildError(
            f"{where}: {line!r} points to this machine: name a folder or a wheel, which is packed"
        )
    if "://" not in line:
        _check(line, where)
    needs = Needs(wanted=[Wanted(line, where)])
    exact = _EXACT.fullmatch(line)
    if hashes and exact:
        name = canonical(exact["name"])
        needs.pinned[name] = Locked(
            name=name, version=exact["version"], marker=(exact["marker"] or "").strip(), hashes=hashes
        )
    return needs


def _check(line: str, where: str) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(line)
    except InvalidRequirement as error:
        first = str(error).strip().partition("\n")[0]
        raise BuildError(f"{where}: {line!r} is no requirement: {first}") from error


def _option(line: str, where: str, folder: Path) -> Needs:
    if line.startswith(_ADDRESS_OPTIONS):
        address = re.split(r"[\s=]+", line, maxsplit=1)[-1]
        if "://" not in address or address.startswith("file://"):
            raise BuildError(
                f"{where}: {line!r} points to this machine: name a wheel ({_relative(folder)}/x.whl), which "
                "goes into the bundle, or an index with https://"
            )
        return Needs(options=[line])
    if line.split(maxsplit=1)[0].partition("=")[0] in _IDLE:
        return Needs()
    if line.startswith(_INDEX_OPTIONS):
        return Needs(options=[line])
    raise BuildError(f"{where}: {line!r}: this option is not supported; write out what is needed")


def _relative(folder: Path) -> str:
    return f"./{folder.name}" if folder.name else "."


def _is_local(text: str) -> bool:
    if text.startswith("file://"):
        return True
    return "://" not in text and (
        text.startswith((".", "/", "~")) or text.partition("[")[0].endswith((".whl", ".tar.gz", ".zip"))
    )


def _local(
    text: str,
    where: str,
    folder: Path,
    *,
    name: str = "",
    extras: str = "",
    marker: str = "",
    editable: bool = False,
) -> Needs:
    text, _, more = text.partition(" ;") if not marker else (text, "", "")
    text = text.strip()
    if found := _LOCAL_EXTRAS.fullmatch(text):
        text, extras = found["path"], found["extras"]
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    path = folder / os.path.expanduser(text)  # noqa: PTH111 - Path's own raises for `~nobody`
    try:
        path = path.resolve(strict=True)
    except (OSError, ValueError) as error:
        raise BuildError(f"{where}: there is no {path}") from error
    local = Local(
        path,
        where,
        name=canonical(name) if name else "",
        extras=tuple(sorted(canonical(extra.strip()) for extra in extras.split(",") if extra.strip())),
        marker=marker.strip() or more.strip(),
        editable=editable,
    )
    return Needs(locals=[local])
