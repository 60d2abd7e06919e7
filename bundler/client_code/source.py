"""From what `bundle client` was given to the schema of a service."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from ...errors import BuildError, UsageError
from ...runtime.client.options import Trust
from ...runtime.service.bundlefile import BundleFile, find_bundlefile
from ...runtime.service.load import SOURCE_FOLDER, resolve_target
from ...runtime.supervisor.control import Target
from ..content import OPENAPI_FILE
from ..describe import describe
from ..snapshot import list_sources
from ..target import path_of

_URL = re.compile(r"(?:http|grpc)s?://")
_TLS = ("https://", "grpcs://")


def document_of(target: str, trust: Trust | None = None) -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        target: the tag or the folder of a bundle, a project folder, `service.py:Class`, `module:Class`, or
            the URL of a running server (with the token of TIFFIN_CLIENT_TOKEN).
        trust: TLS for that URL; None: as the system trusts.

    Raises:
        ConfigError: nothing of these.
        UsageError: `trust` has files, and the target is no `https://` or `grpcs://`.
        BuildError: the service cannot be imported, or the bundle has no readable schema.
        ConnectionFailedError: no server at that URL.
        ServingError: the server refuses.
    """
    trust = trust or Trust()
    if trust != Trust() and not target.startswith(_TLS):
        raise UsageError(
            f"--ca, --cert and --key are for servers with TLS, and {target} is no https:// or grpcs:// URL"
        )
    if _URL.match(target):
        from ...runtime.client.client import Client

        with Client(target, ca=trust.ca, cert=trust.cert, key=trust.key) as client:
            return client.schema()
    path_of(target)  # which says what is wrong with one that is too long
    found = resolve_target(target)
    return _of_bundle(Path(found.bundle)) if found.bundle else _of_project(found)


def _of_bundle(folder: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = msgspec.json.decode((folder / OPENAPI_FILE).read_bytes(), type=dict)
    except (OSError, msgspec.DecodeError) as error:
        raise BuildError(f"{folder} has no readable {OPENAPI_FILE}: {error}") from error
    info = document.get("info")
    if isinstance(info, dict) and info.get("version") == "0":
        info["version"] = folder.name
    return document


def _of_project(target: Target) -> dict[str, Any]:
    """Imports a copy, as a build does: nothing is written into the project."""
    project = Path(target.source)
    wishes = find_bundlefile(project) or BundleFile()
    with tempfile.TemporaryDirectory(prefix="tiffin-client-") as scratch:
        copy = Path(scratch) / SOURCE_FOLDER
        for source in list_sources(project, include=wishes.include, exclude=wishes.exclude):
            place = copy / source.path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.source, place)
        _, described = describe(target, copy)
    return described.openapi
