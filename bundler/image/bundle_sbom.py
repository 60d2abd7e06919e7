"""The SBOM of a bundle that exists: as the one in it, with its version, digest and commit."""

from __future__ import annotations

from ...errors import BuildError
from ..bundles import Bundle
from ..diff.bundles import models_of
from ..python.environment import this_platform
from ..python.lockfile import (
    LOCK_FILE,
    LOCK_PATTERN,
    REQUIREMENTS_FILE,
    WHEELS_FOLDER,
    read_lock,
    read_requirements,
)
from ..python.wheel import DISTRIBUTION, Wheel
from .sbom import other_locks, render_sbom


def bundle_sbom(bundle: Bundle) -> str:
    """CycloneDX as JSON, with the packages of the locks for all platforms.

    Raises:
        IntegrityError: a lock, or the manifest of a model, is damaged.
        BuildError: the bundle has no wheel of tiffin.
    """
    paths = [entry.path for entry in bundle.info.files]
    locked = LOCK_FILE in paths
    others = other_locks({path: _text(bundle, path) for path in paths if LOCK_PATTERN.fullmatch(path)})
    if locked:
        packages = read_lock(_text(bundle, LOCK_FILE))
    else:
        packages = read_requirements(_text(bundle, REQUIREMENTS_FILE)) if REQUIREMENTS_FILE in paths else []
    git = bundle.info.provenance.get("git") or {}
    root = {"version": bundle.tag.version, "bundle": str(bundle.tag), "digest": bundle.info.digest}
    if git.get("commit"):
        root["commit"] = f"{git['commit']}{' with uncommitted changes' if git.get('dirty') else ''}"
    return render_sbom(
        bundle.info.service,
        packages=packages,
        models=models_of(bundle),
        wheel=_wheel(bundle),
        locked=locked,
        platform=_own_platform(bundle),
        others=others,
        root=root,
    )


def _own_platform(bundle: Bundle) -> str:
    """What `requirements.lock` is for: Linux on the machine that built it."""
    machine = bundle.info.platform.rpartition("-")[2]
    known = {
        "x86_64": "linux/amd64",
        "aarch64": "linux/arm64",
        "arm64": "linux/arm64",
        "amd64": "linux/amd64",
    }
    return known.get(machine) or this_platform()


def _wheel(bundle: Bundle) -> Wheel:
    for entry in bundle.info.files:
        name = entry.path.removeprefix(WHEELS_FOLDER)
        if name != entry.path and name.startswith(f"{DISTRIBUTION}-"):
            return Wheel(name, name.split("-")[1], (bundle.path / entry.path).read_bytes())
    raise BuildError(f"bundle {bundle.tag} has no wheel of {DISTRIBUTION}: build it again")


def _text(bundle: Bundle, path: str) -> str:
    return (bundle.path / path).read_text(encoding="utf-8")
