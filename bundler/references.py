"""What a user says of how a model or bundle came about: data, parent, metrics; checked, and made plain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..runtime.digest import content_digest, hash_stream, open_regular
from ..runtime.manifest import FileEntry
from .model_facts import plain_metadata
from .secrets_scan import secret_in

if TYPE_CHECKING:
    from ..runtime.model.model import Model
    from ..runtime.tag import Tag

_PASSWORD = re.compile(
    r"://[^/\s@:]*:[^/\s@]+@|[?&](?:[\w.-]*(?:token|secret|passw|signature|credential)[\w.-]*|sig|key|auth)=",
    re.IGNORECASE,
)


def data_references(data: Any) -> list[dict[str, Any]]:
    """What a model was trained on, or a bundle belongs to.

    Args:
        data: one reference, a sequence of them, or a dict of name to reference. A reference is text, kept
            as it is (`s3://bucket/train.parquet`, `dvc:abc123`); a `pathlib.Path`, whose file or folder is
            read and hashed; or a dict of whatever is known.

    Returns:
        A dict each: `name` when it has one, and `uri`, or `path`, `size_bytes` and `sha256` (of a folder
        `digest` and `files`), or the user's own keys.

    Raises:
        UsageError: nothing of these, no such file, or a password in an address.
    """
    if data is None:
        return []
    if isinstance(data, Mapping):
        return [
            {"name": _text(name, "data"), **_reference(value, f"data[{name!r}]")}
            for name, value in data.items()
        ]
    if isinstance(data, (str, Path)):
        return [_reference(data, "data")]
    if isinstance(data, Sequence):
        return [_reference(value, f"data[{place}]") for place, value in enumerate(data)]
    raise UsageError(
        f"data= is of type {type(data).__qualname__}: give where it is, not the data itself: a pathlib.Path, "
        "'s3://bucket/train.parquet', or a dict of name to such"
    )


def references_of_words(words: Mapping[str, str], folder: Path) -> list[dict[str, Any]]:
    """The same for texts of a bundlefile or a command line, where a file or folder that is there is hashed.

    Args:
        words: name to reference.
        folder: what paths are relative to.
    """
    found = []
    for name, text in words.items():
        path = folder / text
        there = bool(text) and "://" not in text and path.exists()
        found.append({"name": name, **_reference(path if there else text, f"data {name}", shown=text)})
    return found


def metrics_of(metrics: Mapping[str, Any] | None) -> dict[str, Any]:
    """Numbers by name, or such dicts by name: `{"accuracy": 0.97, "test": {"f1": 0.95}}`.

    Raises:
        UsageError: a value that is no number; words belong into `metadata=`.
    """
    if metrics is not None and not isinstance(metrics, Mapping):
        raise UsageError(f"metrics= is of type {type(metrics).__qualname__}: give a dict of name to number")
    found = plain_metadata(metrics)
    for name, value in flat_metrics(found).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise UsageError(
                f"metrics: {name} is {value!r}, no number; what is no number belongs into metadata="
            )
    return found


def flat_metrics(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"test.f1": 0.95}` of `{"test": {"f1": 0.95}}`."""
    found: dict[str, Any] = {}
    for name, value in metrics.items():
        found |= (
            flat_metrics(value, f"{prefix}{name}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{name}": value}
        )
    return found


def parent_reference(parent: str | Tag | Model | None) -> dict[str, str]:
    """Tag and digest of the model that another was made from.

    Args:
        parent: of the store, or the model itself.

    Raises:
        NotFoundError: no such model; names the nearest.
    """
    if parent is None:
        return {}
    from ..runtime.model.find import find
    from ..runtime.model.model import Model

    model = parent if isinstance(parent, Model) else find(parent)
    return {"tag": str(model.tag), "digest": model.info.digest}


def _reference(value: Any, where: str, shown: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        found = plain_metadata(value)
        for text in filter(lambda one: isinstance(one, str), flat_metrics(found).values()):
            _check(text, where)
        return found
    if isinstance(value, Path):
        return _read(value, where, shown or str(value))
    text = _text(value, where)
    _check(text, where)
    return {"uri": text}


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where}: {value!r} is no reference: give text, a pathlib.Path, or a dict")
    return value


def _check(text: str, where: str) -> None:
    """Everybody who gets the bundle can read it."""
    what = "password in an address" if _PASSWORD.search(text) else secret_in("", text.encode())
    if what:
        raise UsageError(f"{where} looks like it holds a {what}, which everybody could read: leave that out")


def _read(path: Path, where: str, shown: str) -> dict[str, Any]:
    try:
        if path.is_dir():
            entries = [_entry(file, file.relative_to(path).as_posix()) for file in _files(path)]
            return {
                "path": shown,
                "size_bytes": sum(entry.size_bytes for entry in entries),
                "files": len(entries),
                "digest": content_digest(entries),
            }
        entry = _entry(path.resolve(strict=True), shown)
    except OSError as error:
        raise UsageError(f"{where}: cannot read {shown}: {error.strerror or error}") from error
    return {"path": shown, "size_bytes": entry.size_bytes, "sha256": entry.sha256}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _entry(path: Path, shown: str) -> FileEntry:
    with open_regular(path) as file:
        digest, size = hash_stream(file)
    return FileEntry(path=shown, size_bytes=size, sha256=digest)
