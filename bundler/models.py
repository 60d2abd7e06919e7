"""The model store, public as `tiffin.models`: save, get, list, delete, export, import."""

from __future__ import annotations

import builtins
import errno
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import AlreadyExistsError, InvalidTagError, ModelError, TiffinError, UsageError
from ..runtime.home import models_folder
from ..runtime.manifest import MODEL_FILE, FileEntry, ModelInfo, dump_yaml
from ..runtime.model.find import find
from ..runtime.model.framework import (
    ANYTHING,
    Framework,
    Native,
    Saved,
    copied_files,
    copy_file,
    framework_for,
    model_of,
)
from ..runtime.model.model import Model, model_digest, read_info
from ..runtime.model.versions import here
from ..runtime.tag import Tag
from .bar import BytesProgress, Progress, shown, silent
from .framework_choice import chosen_framework
from .model_facts import check_classes, label_file, plain_labels, plain_metadata
from .model_files.describe import describe_model
from .model_files.facts import file_facts
from .provenance import provenance
from .recording import Recording
from .references import data_references, metrics_of, parent_reference
from .store import Store

_SHOWN_CHARS = 80
_TELLING = ("framework", "methods", "classes", "labels", "metadata", "versions")
"""What two models must agree in to be the same, besides their bytes."""

# Less than this is free after a failed write: the disk is full, whatever words the framework found for it.
_FULL_BYTES = 64 * 1024


@shown("look at the model", lambda made: f"saved {made.tag}")
def save(
    name: str,
    obj: Any,
    *,
    example: Any = None,
    classes: Sequence[Any] | None = None,
    labels: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    methods: Iterable[str] | Mapping[str, Mapping[str, Any]] | None = None,
    framework: str | None = None,
    options: Mapping[str, Any] | None = None,
    version: str | None = None,
    parent: str | Tag | Model | None = None,
    data: Any = None,
    metrics: Mapping[str, Any] | None = None,
    keep_example: bool = True,
    inputs: Sequence[str] = (),
    reuse: bool = False,
    on_progress: Progress | None = None,
) -> Model:
    """Saves a trained model as a new version. Either all of it is in the store afterwards, or nothing.

    Args:
        name: 1 to 63 of `a-z 0-9 . _ -`.
        obj: an estimator, booster, module, state dict, function, or any object that can be called; or a
            `pathlib.Path` of a file or folder that holds a model in its library's own format: told by its
            content and, where it is no pickle, taken as it is.
        example: a few rows as a caller would send them, which give names, shapes and dtypes of inputs and
            outputs: an array, list or data frame; a tuple of positional arguments; a dict of keywords.
        classes: the word for each class index.
        labels: words to find the model by.
        metadata: anything YAML can hold; numpy numbers and arrays become numbers and lists.
        methods: what services may call, the default first, when the framework should not choose; as a dict,
            each one's own `example`, `batch` (False: a call a request), `max_batch_size`, `max_latency_ms`,
            and, as in `@tiffin.batch`, `cost="length"`, `max_cost`, `pad`, `buckets`, `axis`, `unpad`,
            `sizes`.
        framework: its name, when it should not be found by the object's class.
        options: for the framework; torch takes `init`, `class` and `format`.
        version: of your own making; None makes one that sorts after every other.
        parent: the model that this one was made from; of the store.
        data: what it was trained on: `"s3://bucket/train.parquet"`, a `pathlib.Path`, which is read and
            hashed, or a dict of name to such. Never the data itself.
        metrics: numbers by name, `{"accuracy": 0.97, "test": {"f1": 0.95}}`.
        keep_example: False: nothing of the example is kept but the signature. Else its first 32 rows and what
            each method made of them lie beside the model, and `bundle check` tries them again.
        inputs: where there is no example, what goes in: `["x:float32[n,4]"]`. A file mostly tells itself.
        reuse: give back the newest version of that name where it is just the same, rather than save another.
        on_progress: told what is going on; None: a bar on a terminal and in a notebook.

    Raises:
        InvalidTagError: a bad name or version.
        UsageError: a path that is text; options, references or metrics that are not what they should be.
        NotFoundError: no such parent.
        ModelError: the model cannot be described or saved, or `classes` has the wrong length.
        AlreadyExistsError: that version exists.
        StoreError: the disk is full or may not be written.
    """
    _check_tag(name, version)
    tell = on_progress or silent
    settings = dict(options or {})
    tell(f"look at {name}", 0, 0)
    chosen, ready = _prepared(obj, framework, settings)
    loaded = model_of(ready)
    said = _said(parent, data, metrics)
    recording = Recording()
    specs = describe_model(
        chosen,
        loaded,
        methods,
        example=example,
        inputs=inputs,
        from_file=isinstance(obj, Path),
        recording=recording if keep_example else None,
    )
    words = label_file(loaded, classes)
    check_classes(loaded, words, specs)
    info = ModelInfo(
        name=name,
        version="",
        framework=chosen.name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        files=[],
        digest="",
        size_bytes=0,
        methods=specs,
        classes=words,
        labels=plain_labels(labels),
        metadata=plain_metadata(metadata),
        provenance={**provenance(), **said},
    )
    if isinstance(obj, Path):
        info.provenance["file"] = file_facts(obj, pickled=not isinstance(ready, Native))
    if recording.skipped:
        info.provenance["examples_not_kept"] = recording.skipped
    store = _store()
    with store.begin() as draft:
        tell(f"write {name}", 0, 0)
        saved = _write(chosen, ready, draft.folder, settings)
        recorded = recording.write(draft.folder)
        entries = draft.entries(copied_files(), lambda done, total: tell(f"hash {name}", done, total))
        info.examples = [entry for entry in entries if entry.path in recorded]
        _complete(info, saved, [entry for entry in entries if entry.path not in recorded])
        same = _newest_if_same(store, info) if reuse and version is None else None
        if same is not None:
            return same
        path = draft.commit(name, version, finish=lambda allotted: _finish(info, draft.folder, allotted))
    model = Model.open(path)
    store.warn_if_older(model.tag)
    return model


def get(tag: str | Tag) -> Model:
    """The model with that tag, in the store, or in the bundle that is being served.

    Args:
        tag: `iris`, `iris:latest`, `iris:6f3k2q…`, or the first 6 or more characters of a version.

    Raises:
        NotFoundError: names the nearest.
    """
    return find(tag)


def list(name: str | None = None) -> builtins.list[Model]:  # noqa: A001 - models.list() is what it is called
    """Every version in the store, by name, oldest first. Manifests are read when they are asked for.

    Args:
        name: only the versions of this one; none of them is an empty list.
    """
    store = _store()
    store.sweep()
    names = store.names() if name is None else [name]
    return [
        Model(store.root / one / version, Tag(one, version))
        for one in names
        for version in store.versions(one)
    ]


def resolve(tag: str | Tag) -> Tag:
    """The full tag of a model in the store.

    Raises:
        NotFoundError: no such version.
    """
    return _store().resolve(tag)


def delete(tag: str | Tag) -> Tag:
    """Removes one version from the store.

    Returns:
        The full tag of what is gone.

    Raises:
        NotFoundError: no such version.
    """
    return _store().delete(tag)


def export(tag: str | Tag, path: Path | str, *, on_progress: BytesProgress | None = None) -> Path:
    """Writes a model to one file, for another store.

    Args:
        tag: of a model in the store.
        path: the file, gzipped when it ends in `.gz` or `.tgz`; a folder gets `<name>-<version>.tar`.
        on_progress: called with the bytes done and the bytes in all.

    Raises:
        NotFoundError: no such model.
        IntegrityError: the model is damaged; no file is left.
    """
    from .archive_writing import archive_path, write_archive

    model = get(tag)
    entries = [*model.info.files, *model.info.examples]
    return write_archive(model.path, MODEL_FILE, entries, archive_path(path, model.tag), on_progress)


def import_(path: Path | str, *, on_progress: BytesProgress | None = None) -> Model:
    """Takes a model from a file into the store, under the tag that it was exported with.

    Nothing of it is run or unpickled. A model that is there already, with the same content, is given back.

    Args:
        path: what `export` wrote.
        on_progress: called with the bytes read and the size of the file.

    Raises:
        UnsafeArchiveError: the file is hostile; nothing was written.
        IntegrityError: the file is damaged; nothing was written.
        AlreadyExistsError: another model has this tag.
    """
    from .archive_reading import read_archive

    store = _store()
    found: builtins.list[ModelInfo] = []

    def parse(data: bytes) -> Sequence[FileEntry]:
        found.append(read_info(Path(path), data))
        return [*found[0].files, *found[0].examples]

    with store.begin() as draft:
        read_archive(Path(path), MODEL_FILE, draft.folder, parse, on_progress)
        info = found[0]
        try:
            return Model.open(draft.commit(info.name, info.version, finish=lambda _: None))
        except AlreadyExistsError:
            present = Model(store.path(Tag(info.name, info.version)), Tag(info.name, info.version))
            if present.info.digest != info.digest:
                raise
            return present


def _prepared(obj: Any, name: str | None, settings: dict[str, Any]) -> tuple[Framework, Any]:
    """The framework, and what it saves."""
    if isinstance(obj, Path):
        from .model_files.load import open_file

        return open_file(obj, name, settings)
    chosen = chosen_framework(name) if name else framework_for(obj)
    if isinstance(obj, str) and chosen.name == ANYTHING:
        raise UsageError(f"{obj[:_SHOWN_CHARS]!r} is text; a file or a folder is given as pathlib.Path(…)")
    return chosen, chosen.prepare(obj, settings)


def _newest_if_same(store: Store, info: ModelInfo) -> Model | None:
    """The newest version of that name, when nobody could tell it from this one; None: it is another."""
    versions = store.versions(info.name)
    if not versions:
        return None
    newest = Model(store.root / info.name / versions[-1], Tag(info.name, versions[-1]))
    try:
        there = newest.info
    except TiffinError:  # damaged: it is not the same
        return None
    if any(getattr(there, key) != getattr(info, key) for key in _TELLING):
        return None
    # A pickle written again may have other bytes: then the file that it was read from tells.
    file = info.provenance.get("file", {})
    same = there.digest == info.digest or ("sha256" in file and there.provenance.get("file") == file)
    return newest if same else None


def _store() -> Store:
    return Store(models_folder(), MODEL_FILE)


def _check_tag(name: str, version: str | None) -> None:
    """Before anything slow is done."""
    if version is not None and Tag(name, version).is_latest:
        raise InvalidTagError("'latest' stands for the newest version and cannot be the name of one")
    Tag(name)


def _write(framework: Framework, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:
    try:
        saved = framework.save(obj, folder, options)
        for path, source in saved.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_file(source, target)
    except (TiffinError, OSError):
        raise
    except Exception as error:
        if "No space left" in str(error) or shutil.disk_usage(folder).free < _FULL_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise ModelError(
            f"{type(model_of(obj)).__qualname__} ({framework.name}) cannot be saved: "
            f"{type(error).__name__}: {error}"
        ) from error
    else:
        return saved


def _said(parent: str | Tag | Model | None, data: Any, metrics: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the user says of the model's origin, for its provenance."""
    said = {"parent": parent_reference(parent), "data": data_references(data), "metrics": metrics_of(metrics)}
    return {name: value for name, value in said.items() if value}


def _complete(info: ModelInfo, saved: Saved, files: builtins.list[FileEntry]) -> None:
    info.files = files
    info.size_bytes = sum(file.size_bytes for file in files)
    info.options, info.pickled = saved.options, saved.pickled
    info.versions = {**here(), **saved.versions}
    info.digest = model_digest(info)


def _finish(info: ModelInfo, folder: Path, version: str) -> None:
    info.version = version
    (folder / MODEL_FILE).write_text(dump_yaml(info), encoding="utf-8")
