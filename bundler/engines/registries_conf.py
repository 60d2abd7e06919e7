"""What podman's and buildah's settings say of registries, for the command that does not look there.

https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...errors import BuildError
from ..python.toml import read_toml, rows


def speaks_plain_http(image: str) -> bool:
    """Whether the settings allow plain HTTP, and certificates nobody checks, with the registry of an image.

    Args:
        image: with its registry: `registry.example:5000/team/iris:1`.
    """
    best, insecure = -1, False
    for file in _files():
        try:
            found = rows(read_toml(file).get("registry"))
        except (OSError, BuildError):  # the engine has said so when it pushed the images
            continue
        for row in found:
            prefix = str(row.get("prefix") or row.get("location") or "")
            if _covers(prefix, image) and len(prefix) >= best:  # a later file wins
                best, insecure = len(prefix), row.get("insecure") is True
    return insecure


def _covers(prefix: str, image: str) -> bool:
    if prefix.startswith("*."):
        host, slash, path = prefix[1:].partition("/")
        own, _, rest = image.partition("/")
        return own.partition(":")[0].endswith(host) and (not slash or _covers(path, rest))
    rest = image.removeprefix(prefix)
    return bool(prefix) and image.startswith(prefix) and (not rest or rest[0] in "/:@")


def _files() -> Iterator[Path]:
    """The later, the weightier."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "containers"
    system = Path("/etc/containers")
    if told := os.environ.get("CONTAINERS_REGISTRIES_CONF"):
        yield Path(told)
    else:
        file = own / "registries.conf"
        yield file if file.exists() else system / "registries.conf"
    for folder in (system, own):
        yield from sorted((folder / "registries.conf.d").glob("*.conf"))
