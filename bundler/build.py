"""`tiffin.build`: one project → one bundle in the store, whole or not at all."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BuildError, ConfigError, IntegrityError, NotFoundError, UsageError
from ..runtime.cgroup import cpu_count
from ..runtime.home import models_folder
from ..runtime.manifest import (
    BUNDLE_FILE,
    MODEL_FILE,
    BundleInfo,
    FileEntry,
    ModelInfo,
    ServiceSpec,
    dump_yaml,
)
from ..runtime.model.model import Model
from ..runtime.service.bundlefile import BundleFile, find_bundlefile
from ..runtime.service.load import SOURCE_FOLDER
from ..runtime.shelf import Shelf
from ..runtime.tag import Tag
from ..runtime.verify import bundle_digest
from .bundles import Bundle, bundle_store
from .describe import DESCRIBING, describe
from .image.dockerfile import IGNORED, render
from .image.plan import (
    DOCKERFILE,
    IGNORE_FILE,
    TEMPLATE_FILE,
    plan_of,
    template_text,
)
from .image.sbom import SBOM_FILE, other_locks, render_sbom
from .model_files.wishes import FileOptions
from .origin import Origin, origin_of
from .provenance import given_only, tools, wanted
from .provenance import provenance as noted
from .python.dependencies import Dependencies, code_of, dependencies, packed_folders, wheel_path
from .python.environment import environment, this_platform
from .python.lockfile import LOCK_FILE, read_lock
from .python.wheel import runtime_wheel
from .readme import render_readme
from .references import data_references, metrics_of, references_of_words
from .secrets_scan import refuse_secrets
from .snapshot import SourceFile, list_sources
from .store import Draft
from .words import NOTES, REQUIREMENTS_FROM, UNTYPED

Progress = Callable[[str, int, int], None]
"""What is done now, how much of it is done, and how much there is in all; 0: not known."""

OPENAPI_FILE = "apis/openapi.json"
PROTO_FILE = "apis/service.proto"
README_FILE = "README.md"
CHECKED = "checked"
"""In `options` of a manifest: what was tried in a clean environment before it was kept."""
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


def build(
    target: str | Path | type = ".",
    *,
    name: str | None = None,
    version: str | None = None,
    labels: Mapping[str, str] | None = None,
    on_progress: Progress | None = None,
    lock: bool | None = None,
    python: str = "",
    platforms: Sequence[str] = (),
    files: FileOptions | None = None,
    data: Any = None,
    metrics: Mapping[str, Any] | None = None,
    provenance: bool = True,
    check: bool = False,
) -> Bundle:
    """Makes a bundle of a service, its models and what it needs.

    The service is imported in a clean process that sees only the files of the bundle. Models are hard-linked
    from the store. The same inputs give the same digest, wherever and whenever they are built.

    Args:
        target: a project folder, `service.py:Class`, `module:Class`, or the service class itself.
        name: of the bundle; None: the bundlefile's, else the service's.
        version: of your own making; None makes one that sorts after every other.
        labels: added to those of the bundlefile.
        on_progress: told what is going on.
        lock: None: lock the Python requirements when `uv` and an index can be reached, else say in
            `options` of the manifest why not; True: that is an error; False: do not try.
        python: `3.12`: the Python that images will have; empty: the bundlefile's, else the one that builds.
        platforms: that images will be for besides Linux on this machine's processor, `linux/arm64`: the
            requirements are locked for each, and it is an error when they cannot be.
        files: what goes with a model file, or the files of a folder.
        data: references to what belongs to it, as for `tiffin.models.save`; added to those of the bundlefile.
        metrics: numbers by name, as for `tiffin.models.save`; added to those of the bundlefile.
        provenance: False: who, where and git are not noted; `TIFFIN_NO_PROVENANCE=1` says the same.
        check: try it before it is kept: in a clean environment made from its lock the service is imported and
            the models' recorded examples are run.

    Raises:
        ConfigError: there is nothing to build there, the bundlefile is wrong, or so is a platform.
        ServiceDefinitionError: the service cannot work, or cannot be imported from the bundle's files.
        SecretFoundError: a file that looks like a secret would go in.
        NotFoundError: a model is not in the store.
        BuildError: anything else that keeps a bundle from being made; the check found something.
        AlreadyExistsError: that version exists.
        StoreError: the disk is full or may not be written.
    """
    if os.environ.get(DESCRIBING):
        raise BuildError(
            "tiffin.build() was called while the service was being imported for a build: "
            "put it under if __name__ == '__main__':"
        )
    if name is not None:
        Tag(name, version or "0")
    if check and lock is False:
        raise UsageError("a check is made with locked requirements: leave out lock=False")
    lock = True if check else lock
    if platforms and lock is False:
        raise UsageError("requirements are locked for the platforms that are named: leave out lock=False")
    for each in ("", *platforms):
        environment(python, each)
    progress = on_progress or _silent
    progress("look for files", 0, 0)
    store = bundle_store()
    with origin_of(target, files=files, name=name) as origin, store.begin() as draft:
        wishes = find_bundlefile(origin.settings) or BundleFile()
        said = _said(origin, wishes, data, metrics, provenance=provenance)
        sources = _sources(origin, wishes)
        refuse_secrets(sources, allow=wishes.allow_secrets)
        content = _fill(
            draft, origin, wishes, sources, lock=lock, python=python, platforms=platforms, progress=progress
        )
        info = _manifest(content, wishes, labels or {}, origin, said)
        _put_dockerfile(draft, info, content.texts)
        if check:
            info.options[CHECKED] = _check(draft, info, progress)
        progress("write to the store", 0, 0)
        info.name = name or origin.name or wishes.name or content.spec.name
        path = draft.commit(info.name, version, finish=lambda allotted: _finish(info, draft.folder, allotted))
    made = Bundle(Tag(info.name, info.version), info, path)
    store.warn_if_older(made.tag)
    return made


@dataclass(frozen=True)
class _Content:
    """What was put into the draft."""

    spec: ServiceSpec
    models: Sequence[Model]
    files: Sequence[FileEntry]
    texts: Mapping[str, str]
    """Files that the Dockerfile follows from, by path."""
    needed: Dependencies
    untyped: Mapping[str, str]
    """Api to the reason why it has no typed gRPC method."""


def _sources(origin: Origin, wishes: BundleFile) -> list[SourceFile]:
    folder = Path(origin.target.source)
    if origin.generated:
        return list_sources(folder)
    return list_sources(folder, include=wishes.include, exclude=wishes.exclude)


def _fill(
    draft: Draft,
    origin: Origin,
    wishes: BundleFile,
    sources: Sequence[SourceFile],
    *,
    lock: bool | None,
    python: str,
    platforms: Sequence[str],
    progress: Progress,
) -> _Content:
    project = origin.settings
    files = _copy(draft, sources, progress)
    progress("import the service", 0, 0)
    with ThreadPoolExecutor(max_workers=1) as beside:  # while the other process imports, this one has time
        wheel_made = beside.submit(runtime_wheel)
        spec, described = describe(
            origin.target,
            draft.folder / SOURCE_FOLDER,
            packed=lambda: packed_folders(project, wishes.python, generated=origin.generated),
        )
    progress("link models", 0, 0)
    models = _models(spec, [*wishes.models, *origin.models])
    for model in models:
        files += _link(draft, model)
    infos = [model.info for model in models]
    progress("lock requirements" if lock is not False else "collect requirements", 0, 0)
    needed = dependencies(
        project,
        wishes.python,
        code_of(draft.folder / SOURCE_FOLDER, origin, described),
        models=[*infos, *_values(origin)],
        service=spec,
        generated=origin.generated,
        python=python,
        lock=lock,
        platforms=platforms,
    )
    pins = needed.texts.get(LOCK_FILE, "")
    sources_of_image = {**needed.texts, TEMPLATE_FILE: _template(project, wishes)}
    image_texts = {path: text for path, text in sources_of_image.items() if text}
    wheel = wheel_made.result()
    texts = {
        **image_texts,
        OPENAPI_FILE: _json(described.openapi),
        PROTO_FILE: described.proto,
        README_FILE: render_readme(spec, infos, description=wishes.description, openapi=described.openapi),
        SBOM_FILE: render_sbom(
            spec,
            packages=read_lock(pins),
            models=infos,
            wheel=wheel,
            locked=bool(pins),
            platform=this_platform(),
            others=other_locks(needed.texts),
        ),
    }
    files += [_put(draft, path, text.encode()) for path, text in texts.items()]
    files += [_put(draft, wheel_path(each), each.data) for each in (wheel, *needed.wheels)]
    files.sort(key=lambda file: file.path)
    return _Content(spec, models, files, image_texts, needed, described.untyped)


def _values(origin: Origin) -> list[ModelInfo]:
    """Pickles in the source hold the requirements to their versions as models do."""
    if not origin.versions:
        return []
    return [
        ModelInfo(
            name="captured",
            version="values",
            framework="cloudpickle",
            created="",
            files=[],
            digest="",
            size_bytes=0,
            versions=dict(origin.versions),
        )
    ]


def _copy(draft: Draft, sources: Sequence[SourceFile], progress: Progress) -> list[FileEntry]:
    """Copies and hashes on all cores; both release the interpreter lock."""

    def copy(source: SourceFile) -> FileEntry:
        try:
            return draft.add(source.source, f"{SOURCE_FOLDER}/{source.path}")
        except OSError as error:
            if error.filename in {source.source, str(source.source)}:
                raise BuildError(f"cannot read {source.path}: {error.strerror}; exclude it") from error
            raise

    total = sum(source.size_bytes for source in sources)
    done = 0
    files = []
    with ThreadPoolExecutor(max_workers=max(1, int(cpu_count()))) as pool:
        for entry in pool.map(copy, sources):
            files.append(entry)
            done += entry.size_bytes
            progress("copy files", done, total)
    return files


def _models(spec: ServiceSpec, more: Sequence[str]) -> list[Model]:
    """Models of the runners, of the classes that load their own, and those asked for; each once, by tag."""
    shelf = Shelf(models_folder(), MODEL_FILE)
    tags = {Tag.parse(runner.model) for runner in spec.runners if runner.model}
    tags |= {Tag.parse(model) for runner in spec.runners for model in runner.models}
    try:
        tags |= {shelf.resolve(text) for text in more}
    except NotFoundError as error:
        raise NotFoundError(f"models: of the bundlefile: {error}") from error
    return [Model.open(shelf.path(tag)) for tag in sorted(tags)]


def _link(draft: Draft, model: Model) -> list[FileEntry]:
    """A model's files, neither copied nor read; loading checks their digests."""
    folder = f"models/{model.tag.name}/{model.tag.version}"
    entries = []
    for file in [*model.info.files, *model.info.examples]:
        source = model.path / file.path
        if not source.is_file() or source.stat().st_size != file.size_bytes:
            raise IntegrityError(f"{source} of model {model.tag} is damaged: save or import the model again")
        draft.link(source, f"{folder}/{file.path}")
        entries.append(msgspec.structs.replace(file, path=f"{folder}/{file.path}"))
    manifest = f"{folder}/{MODEL_FILE}"
    draft.link(model.path / MODEL_FILE, manifest)
    data = (draft.folder / manifest).read_bytes()
    return [*entries, FileEntry(path=manifest, size_bytes=len(data), sha256=sha256(data).hexdigest())]


def _template(project: Path, wishes: BundleFile) -> str:
    """The project's own template for the Dockerfile; it must be as free of secrets as the code."""
    text = template_text(project, wishes.image)
    if text:
        path = wishes.image.dockerfile_template
        refuse_secrets([SourceFile(path, project / path, len(text))], allow=wishes.allow_secrets)
    return text


def _put_dockerfile(draft: Draft, info: BundleInfo, texts: Mapping[str, str]) -> None:
    """Adds what `docker build` needs in the bundle's folder; nothing else in the bundle depends on it."""
    plan = plan_of(info, texts, options=info.image)
    for path, text in ((DOCKERFILE, render(plan)), (IGNORE_FILE, IGNORED)):
        info.files.append(_put(draft, path, text.encode()))
    info.files.sort(key=lambda file: file.path)
    info.size_bytes = sum(file.size_bytes for file in info.files)
    info.digest = bundle_digest(info)


def _put(draft: Draft, path: str, data: bytes) -> FileEntry:
    file = draft.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return FileEntry(path=path, size_bytes=len(data), sha256=sha256(data).hexdigest())


def _manifest(
    content: _Content, wishes: BundleFile, labels: Mapping[str, str], origin: Origin, said: dict[str, Any]
) -> BundleInfo:
    """The manifest but for name and version, which the store allots, and what the Dockerfile adds."""
    lock = content.needed.lock
    locked = lock is not None and bool(lock.text)
    options: dict[str, Any] = {"locked": locked, REQUIREMENTS_FROM: content.needed.source}
    if not locked:
        options["unlocked_because"] = lock.reason if lock is not None else "not asked for"
    if content.untyped:
        options[UNTYPED] = dict(content.untyped)
    if notes := [*origin.notes, *content.needed.notes]:
        options[NOTES] = notes
    return BundleInfo(
        name="",
        version="",
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        digest="",
        service=content.spec,
        models=[str(model.tag) for model in content.models],
        files=list(content.files),
        size_bytes=sum(file.size_bytes for file in content.files),
        python=content.needed.python,
        platform=f"{sys.platform}-{platform.machine().lower()}",
        pickled=[str(model.tag) for model in content.models if model.info.pickled],
        labels=_checked({**wishes.labels, **labels}),
        description=wishes.description,
        provenance=said,
        options=options,
        image=wishes.image,
    )


def _said(
    origin: Origin, wishes: BundleFile, data: Any, metrics: Mapping[str, Any] | None, *, provenance: bool
) -> dict[str, Any]:
    """Where it comes from, and what the user says of it; who and where only when that is wanted."""
    references = [*references_of_words(wishes.data, origin.settings), *data_references(data)]
    numbers = {**metrics_of(wishes.metrics), **metrics_of(metrics)}
    given = {"data": references, "metrics": numbers}
    said = {name: value for name, value in given.items() if value}
    if provenance and wanted():
        return {**noted(origin.settings), **origin.provenance, **said}
    return {**tools(), **given_only(origin.provenance), **said}


def _check(draft: Draft, info: BundleInfo, progress: Progress) -> dict[str, Any]:
    from .check.check import check, demand

    report = check(draft.folder, info, on_step=lambda step: progress(step, 0, 0))
    demand(report)
    return {"python": report.python, "packages": report.packages, "examples": len(report.results)}


def _checked(labels: dict[str, str]) -> dict[str, str]:
    """They become the image's labels too, where `a=b` would be another one's name and value."""
    for name in labels:
        if not _LABEL.fullmatch(name):
            raise ConfigError(
                f"label {name!r}: a name begins with a letter or digit and has only those and . _ / -"
            )
    return labels


def _finish(info: BundleInfo, folder: Path, version: str) -> None:
    info.version = version
    (folder / BUNDLE_FILE).write_text(dump_yaml(info), encoding="utf-8")


def _json(value: object) -> str:
    """Keys sorted, so that the same document is the same text."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2).decode() + "\n"


def _silent(step: str, done: int, total: int) -> None:
    """Nobody asked for progress."""
