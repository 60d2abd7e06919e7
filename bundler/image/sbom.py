"""`sbom.cdx.json`: what a bundle is made of, for scanners; CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/).

The Python packages come from the lock, so what is listed is what an image installs. Their hashes stay in the
lock, which is in the image too: a package has dozens of files, and this document goes out again with each
change of code. A bundle without a lock lists only tiffin and its models, and says so in `properties`. Nothing
in it depends on when or where it is made. The base image is not part of it: it can be chosen anew for each
image.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import msgspec

from ...runtime.manifest import ModelInfo, ServiceSpec
from ..python.lockfile import LOCK_PATTERN, Locked, read_lock
from ..python.wheel import DISTRIBUTION, Wheel

SBOM_FILE = "sbom.cdx.json"
SPEC_VERSION = "1.5"
_NAMESPACE = uuid.UUID("8f0a7c0e-41f7-5b6e-9a44-1d8c6f0b7a52")
_ROOT = "service"


def render_sbom(
    service: ServiceSpec,
    *,
    packages: Sequence[Locked],
    models: Sequence[ModelInfo],
    wheel: Wheel,
    locked: bool,
    platform: str = "",
    others: Mapping[str, Sequence[Locked]] = MappingProxyType({}),
    root: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The document as JSON.

    Args:
        service: gives the name.
        packages: of the lock; empty when there is none.
        platform: that this lock is for, `linux/amd64`; told of a package that others lack.
        others: platform to the packages of its own lock. What all of them have is listed without a platform.
        root: more of the application itself: `version`, and properties such as `digest` and `commit`.
        models: each a component with its files.
        wheel: of tiffin.
        locked: whether `packages` is all that is installed.
    """
    components = [
        _runtime(wheel),
        *_packages({platform: packages, **others}),
        *(_model(model) for model in models),
    ]
    references = [component["bom-ref"] for component in components]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "component": _application(service.name, root),
            "properties": [_property("locked", "true" if locked else "false")],
        },
        "components": components,
        "dependencies": [
            {"ref": _ROOT, "dependsOn": references},
            *({"ref": reference} for reference in references),
        ],
    }
    # A number of its own for each content, and the same for the same content.
    serial = uuid.uuid5(_NAMESPACE, msgspec.json.encode(document, order="sorted").decode())
    document["serialNumber"] = f"urn:uuid:{serial}"
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2).decode() + "\n"


def other_locks(texts: Mapping[str, str]) -> dict[str, list[Locked]]:
    """Platform to the packages of its own lock: `linux/arm64` of `requirements.linux-arm64.lock`.

    Args:
        texts: files of a bundle by path.

    Raises:
        IntegrityError: a lock is damaged.
    """
    return {
        path.rpartition("/")[2].split(".")[1].replace("-", "/"): read_lock(text)
        for path, text in sorted(texts.items())
        if LOCK_PATTERN.fullmatch(path) and text
    }


def _application(name: str, root: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "application", "bom-ref": _ROOT, "name": name}
    if version := root.get("version"):
        found["version"] = version
    if properties := [_property(key, root[key]) for key in root if key != "version"]:
        found["properties"] = properties
    return found


def _packages(locks: Mapping[str, Sequence[Locked]]) -> Iterator[dict[str, Any]]:
    """Each package of any lock once; one that is not in all of them says where it is."""
    found: dict[str, dict[str, Any]] = {}
    where: dict[str, list[str]] = {}
    for platform, packages in locks.items():
        for package in packages:
            component = _package(package)
            reference = component["bom-ref"]
            found.setdefault(reference, component)
            where.setdefault(reference, []).append(platform)
    for reference, component in found.items():
        if len(set(where[reference])) < len(locks):
            said = [_property("platform", platform) for platform in dict.fromkeys(where[reference])]
            component["properties"] = [*component.get("properties", []), *said]
        yield component


def _runtime(wheel: Wheel) -> dict[str, Any]:
    # `generic`: on PyPI the name may be another's.
    return {
        "type": "library",
        "bom-ref": f"{DISTRIBUTION}@{wheel.version}",
        "name": DISTRIBUTION,
        "version": wheel.version,
        "purl": f"pkg:generic/{DISTRIBUTION}@{_encoded(wheel.version)}",
        "hashes": [_sha256(wheel.sha256)],
    }


def _package(package: Locked) -> dict[str, Any]:
    # What no index has is none of PyPI's, whoever has the name there.
    kind = "generic" if package.url.startswith("./") else "pypi"
    purl = f"pkg:{kind}/{package.name}" + (f"@{_encoded(package.version)}" if package.version else "")
    component: dict[str, Any] = {
        "type": "library",
        # The marker tells apart the rows of a package that has one version here and another there.
        "bom-ref": f"{purl};{package.marker}" if package.marker else purl,
        "name": package.name,
        "purl": purl,
    }
    if package.version:
        component["version"] = package.version
    if package.marker:
        component["properties"] = [_property("marker", package.marker)]
    if package.url:
        component["externalReferences"] = [{"type": "distribution", "url": package.url}]
    return component


def _model(model: ModelInfo) -> dict[str, Any]:
    reference = f"model:{model.name}:{model.version}"
    return {
        "type": "machine-learning-model",
        "bom-ref": reference,
        "name": model.name,
        "version": model.version,
        "properties": [
            _property("digest", model.digest),
            _property("framework", model.framework),
            _property("pickled", "true" if model.pickled else "false"),
        ],
        "components": [
            {
                "type": "file",
                "bom-ref": f"{reference}/{file.path}",
                "name": file.path,
                "hashes": [_sha256(file.sha256)],
            }
            for file in model.files
        ],
    }


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"{DISTRIBUTION}:{name}", "value": value}


def _encoded(version: str) -> str:
    """https://github.com/package-url/purl-spec: `+` and the like are percent-encoded."""
    return quote(version, safe="")
