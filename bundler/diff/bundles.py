"""What differs between two bundles: files, packages, schema, models, metrics, image, settings, origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ...runtime.manifest import BundleInfo, ModelInfo, RunnerSpec
from ...runtime.model.model import read_info
from ...runtime.tag import Tag
from ..bundles import Bundle
from ..content import PROTO_FILE
from ..python.lockfile import LOCK_FILE, LOCK_PATTERN, REQUIREMENTS_FILE, Locked, read_lock, read_requirements
from ..references import flat_metrics
from ..words import UNTYPED
from .change import Change, Delta, delta, flat
from .models import ModelDiff, diff_models, files_of, origin_of
from .protos import grpc_changes
from .services import service_changes


class BundleDiff(msgspec.Struct, kw_only=True):
    """Two bundles; what is empty does not differ."""

    a: str
    """Tag."""
    b: str
    same: bool
    """Whether they have the same digest: service, models and files."""
    schema: list[Change]
    """Of the routes, breaking ones first."""
    files: Delta
    """All but those of the models."""
    packages: dict[str, Delta]
    """Lock to the packages in it; only locks that differ."""
    models: list[ModelDiff]
    """Those of one name in both, where they differ."""
    models_added: list[str]
    models_removed: list[str]
    metrics: Delta
    """Of the bundles themselves."""
    runners: Delta
    image: Delta
    """Key `image:` of the bundlefile."""
    settings: Delta
    """Python, platform, lock, labels, description."""
    origin: Delta
    """Data, git, who and where."""

    @property
    def breaking(self) -> list[Change]:
        """Of the routes: what callers feel. A model's own methods are called by the service only."""
        return [change for change in self.schema if change.breaking]

    def __bool__(self) -> bool:
        """Whether anything but tags and times differs."""
        parts = (self.schema, self.files, self.packages, self.models, self.models_added, self.models_removed)
        return not self.same or any(
            (*parts, self.metrics, self.runners, self.image, self.settings, self.origin)
        )


def diff_bundles(a: Bundle, b: Bundle) -> BundleDiff:
    """From `a` to `b`.

    Raises:
        IntegrityError: a lock, or the manifest of a model, is damaged.
    """
    before, after = _models(a), _models(b)
    pairs = [(before[name], after[name]) for name in before if name in after]
    return BundleDiff(
        a=str(a.tag),
        b=str(b.tag),
        same=a.info.digest == b.info.digest,
        schema=_schema(a, b),
        files=delta(_files(a.info), _files(b.info)),
        packages=_packages(a, b),
        models=[found for found in (diff_models(*pair) for pair in pairs) if found],
        models_added=[str(_tag(after[name])) for name in after if name not in before],
        models_removed=[str(_tag(before[name])) for name in before if name not in after],
        metrics=delta(*(flat_metrics(bundle.info.provenance.get("metrics") or {}) for bundle in (a, b))),
        runners=delta(_runners(a.info), _runners(b.info)),
        image=delta(*(flat(msgspec.to_builtins(bundle.info.image)) for bundle in (a, b))),
        settings=delta(_settings(a.info), _settings(b.info)),
        origin=delta(origin_of(a.info.provenance), origin_of(b.info.provenance)),
    )


def packages_of(bundle: Bundle) -> dict[str, dict[str, str]]:
    """Lock (its file's name) to package and version; of a bundle without one what was asked for."""
    names = [entry.path for entry in bundle.info.files]
    locks = [path for path in names if path == LOCK_FILE or LOCK_PATTERN.fullmatch(path)]
    found = {Path(path).name: _versions(read_lock(_text(bundle, path))) for path in locks}
    if not locks and REQUIREMENTS_FILE in names:
        found[Path(REQUIREMENTS_FILE).name] = _versions(read_requirements(_text(bundle, REQUIREMENTS_FILE)))
    return found


def models_of(bundle: Bundle) -> list[ModelInfo]:
    """Manifests of a bundle's models, by tag.

    Raises:
        IntegrityError: one is damaged.
    """
    tags = [Tag.parse(text) for text in bundle.info.models]
    return [read_info(bundle.path / "models" / tag.name / tag.version) for tag in tags]


def _schema(a: Bundle, b: Bundle) -> list[Change]:
    """Of the routes, and what only gRPC callers feel."""
    from ...runtime.grpc.typed.names import type_name

    found = service_changes(a.info.service, b.info.service)
    told = {change.path for change in found if change.breaking}
    routes = {type_name(api.name): api.route for api in a.info.service.apis}
    for method, field, change in grpc_changes(_proto(a), _proto(b)):
        where = f"POST {routes.get(method)}: "
        place = f"{where}output" if field == "result" else f"{where}input {field}"
        if not any(path.startswith(place) for path in told):  # JSON callers feel it too
            found.append(change)
    typed = {api.name: api.route for api in a.info.service.apis if api.name not in _untyped(a)}
    for name, reason in _untyped(b).items():
        if name in typed and _proto(a):
            what = f"no gRPC method any more: {reason}"
            found.append(Change(path=f"POST {typed[name]}", what=what, breaking=True))
    return sorted(found, key=lambda change: not change.breaking)


def _proto(bundle: Bundle) -> str:
    has = any(entry.path == PROTO_FILE for entry in bundle.info.files)
    return _text(bundle, PROTO_FILE) if has else ""


def _untyped(bundle: Bundle) -> dict[str, str]:
    found = bundle.info.options.get(UNTYPED, {})
    return found if isinstance(found, dict) else {}


def _models(bundle: Bundle) -> dict[str, ModelInfo]:
    """By name; of several versions of one each by its tag, save the newest."""
    found: dict[str, ModelInfo] = {}
    for info in sorted(models_of(bundle), key=lambda info: info.version, reverse=True):
        found[str(_tag(info)) if info.name in found else info.name] = info
    return found


def _tag(info: ModelInfo) -> Tag:
    return Tag(info.name, info.version)


def _packages(a: Bundle, b: Bundle) -> dict[str, Delta]:
    before, after = packages_of(a), packages_of(b)
    deltas = {name: delta(before.get(name, {}), after.get(name, {})) for name in sorted({*before, *after})}
    return {name: found for name, found in deltas.items() if found}


def _versions(packages: list[Locked]) -> dict[str, str]:
    """A package may be there more than once, with a marker each."""
    found: dict[str, str] = {}
    for package in packages:
        name = f"{package.name} ; {package.marker}" if package.marker else package.name
        found[name] = package.version or package.url or "any"
    return found


def _text(bundle: Bundle, path: str) -> str:
    return (bundle.path / path).read_text(encoding="utf-8")


def _files(info: BundleInfo) -> dict[str, str]:
    return files_of([file for file in info.files if not file.path.startswith("models/")])


def _runners(info: BundleInfo) -> dict[str, Any]:
    """Settings of each runner; its methods and its model's version are told elsewhere."""
    found: dict[str, Any] = {}
    for runner in info.service.runners:
        plain = msgspec.to_builtins(runner)
        plain["model"] = Tag.parse(runner.model).name if runner.model else ""
        for name in ("name", "methods", "models"):
            plain.pop(name, None)
        settings = {**_defaults(), **plain}
        # Nobody writes None: it is what an option is that was left out, as "" is for others.
        found |= {f"{runner.name}.{name}": "" if one is None else one for name, one in settings.items()}
    return found


def _defaults() -> dict[str, Any]:
    """What a manifest leaves out, so that a default that is written out is no difference."""
    told_elsewhere = ("name", "model", "cls", "models", "methods")
    plain = RunnerSpec(name="x")
    return {name: getattr(plain, name) for name in plain.__struct_fields__ if name not in told_elsewhere}


def _settings(info: BundleInfo) -> dict[str, Any]:
    options = {name: value for name, value in info.options.items() if name != "checked"}
    return {
        "description": info.description,
        "python": info.python,
        "platform": info.platform,
        "service": info.service.cls,
        "processes": info.service.processes,
        **{f"label {name}": value for name, value in info.labels.items()},
        **flat(options),
    }
