"""What differs between two models of a store or of two bundles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ...runtime.manifest import FileEntry, ModelInfo
from ..references import flat_metrics
from .change import Change, Delta, delta, flat
from .services import method_changes


class ModelDiff(msgspec.Struct, kw_only=True):
    """Two models; what is empty does not differ."""

    a: str
    """Tag."""
    b: str
    same: bool
    """Whether framework, options and files are the same."""
    schema: list[Change]
    """Of their methods, breaking ones first."""
    metrics: Delta
    """`metrics`, and the numbers in `metadata`."""
    files: Delta
    versions: Delta
    """Of Python and the distributions that they were saved with."""
    facts: Delta
    """Framework, pickle, options, classes, labels, metadata."""
    origin: Delta
    """Parent, data, git, who and where."""

    @property
    def breaking(self) -> list[Change]:
        return [change for change in self.schema if change.breaking]

    def __bool__(self) -> bool:
        """Whether anything but the tags differs."""
        parts = (self.schema, self.metrics, self.files, self.versions, self.facts, self.origin)
        return not self.same or any(parts)


def diff_models(a: ModelInfo, b: ModelInfo) -> ModelDiff:
    """From `a` to `b`."""
    schema = method_changes(a.methods, b.methods)
    if a.classes != b.classes and a.classes and b.classes:
        kept = b.classes[: len(a.classes)] == a.classes
        what = f"class words {', '.join(a.classes[:8])} → {', '.join(b.classes[:8])}"
        schema.insert(0, Change(path="classes", what=what, breaking=not kept))
    return ModelDiff(
        a=f"{a.name}:{a.version}",
        b=f"{b.name}:{b.version}",
        same=a.digest == b.digest,
        schema=schema,
        metrics=delta(metrics_of(a), metrics_of(b)),
        files=delta(*(files_of(info.files) for info in (a, b))),
        versions=delta(a.versions, b.versions),
        facts=delta(_facts(a), _facts(b)),
        origin=delta(origin_of(a.provenance), origin_of(b.provenance)),
    )


def metrics_of(info: ModelInfo) -> dict[str, Any]:
    """Numbers by name; those that were given as metadata too, where many keep them."""
    numbers = {
        name: value
        for name, value in flat_metrics(info.metadata).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return {**numbers, **flat_metrics(info.provenance.get("metrics") or {})}


def files_of(files: list[FileEntry]) -> dict[str, str]:
    """Path to size and the beginning of the sha256."""
    return {file.path: f"{file.size_bytes} bytes, {file.sha256[:12]}{_mode(file)}" for file in files}


def origin_of(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Provenance in one level, without metrics and without the text of a diff, which has its own length."""
    found = {name: value for name, value in provenance.items() if name != "metrics"}
    git = found.get("git")
    if isinstance(git, Mapping):
        found["git"] = {name: git[name] for name in ("commit", "dirty") if name in git}
    data = found.get("data")
    if isinstance(data, list):
        found["data"] = {str(one.get("name") or place): _reference(one) for place, one in enumerate(data)}
    return flat(found)


def _reference(one: Mapping[str, Any]) -> str:
    known = ("uri", "path", "size_bytes", "sha256", "digest")
    return " ".join(str(one[name]) for name in known if name in one) or str(dict(one))


def _facts(info: ModelInfo) -> dict[str, Any]:
    numbers = metrics_of(info)
    metadata = {name: value for name, value in flat(info.metadata).items() if name not in numbers}
    return {
        "framework": info.framework,
        "pickled": info.pickled,
        **{f"option {name}": value for name, value in flat(info.options).items()},
        **{f"label {name}": value for name, value in info.labels.items()},
        **{f"metadata {name}": value for name, value in metadata.items()},
    }


def _mode(file: FileEntry) -> str:
    return ", executable" if file.mode == "755" else ""
