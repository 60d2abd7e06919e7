"""`tiffin.build`: one project → one bundle in the store, whole or not at all."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import BuildError, ConfigError, UsageError
from ..runtime.manifest import BUNDLE_FILE, BundleInfo, dump_yaml
from ..runtime.service.bundlefile import BundleFile, find_bundlefile
from ..runtime.tag import Tag
from ..runtime.verify import bundle_digest
from .bar import Progress, shown, silent
from .bundles import Bundle, bundle_store
from .check.kept import CHECKED, ROUTES, to_keep
from .content import Content, fill, put
from .describe import DESCRIBING
from .draft import Draft
from .image.dockerfile import IGNORED, render
from .image.plan import DOCKERFILE, IGNORE_FILE, plan_of
from .model_files.wishes import FileOptions
from .origin import Origin, origin_of
from .provenance import given_only, tools, wanted
from .provenance import provenance as noted
from .python.environment import environment
from .references import data_references, metrics_of, references_of_words
from .secrets_scan import refuse_secrets
from .snapshot import SourceFile, list_sources
from .words import NOT_ASKED, NOTES, REQUIREMENTS_FROM, UNTYPED

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@shown("look for files", lambda made: f"built {made.tag}")
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
    routes: bool = True,
) -> Bundle:
    """Makes a bundle of a service, its models and what it needs.

    The service is imported in a clean process that sees only the files of the bundle. Models are hard-linked
    from the store. The same inputs give the same digest, wherever and whenever they are built.

    Args:
        target: a project folder, `service.py:Class`, `module:Class`, or the service class itself.
        name: of the bundle; None: the bundlefile's, else the service's.
        version: of your own making; None makes one that sorts after every other.
        labels: added to those of the bundlefile.
        on_progress: told what is going on; None: a bar on a terminal and in a notebook.
        lock: False: do not lock the Python requirements; True: it is an error when there is no `uv` or no
            index can be reached; None: as the bundlefile says, else `options` of the manifest say then why
            there is no lock. What an index answers, that there is no such package or that requirements
            exclude each other, is an error unless False.
        python: `3.12`: the Python that images will have; empty: the bundlefile's, else the one that builds.
        platforms: that images will be for besides Linux on this machine's processor, `linux/arm64`: the
            requirements are locked for each, and it is an error when they cannot be; empty: the bundlefile's.
        files: what goes with a model file, or the files of a folder.
        data: references to what belongs to it, as for `tiffin.models.save`; added to those of the bundlefile.
        metrics: numbers by name, as for `tiffin.models.save`; added to those of the bundlefile.
        provenance: False: who, where and git are not noted; `TIFFIN_NO_PROVENANCE=1` says the same.
        check: try it before it is kept: in a clean environment made from its lock the service is imported,
            the models' recorded examples are run, and each route is called, which must answer as it does in
            this environment.
        routes: False: the check calls no routes; for those that write to a database, or ask others.

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
    if name is not None or version is not None:  # wrong words are told before anything is loaded
        Tag(name or "bundle", version or "0")
    _checked(dict(labels or {}))
    if check and lock is False:
        raise UsageError("a check is made with locked requirements: leave out --no-lock (lock=False)")
    if not routes and not check:
        raise UsageError("routes are called by a check only: say --check too, or leave out routes=False")
    lock = True if check else lock
    if platforms and lock is False:
        raise UsageError("platforms that are named are locked for: leave out --no-lock (lock=False)")
    for each in ("", *platforms):
        environment(python, each)
    progress = on_progress or silent
    progress("look for files", 0, 0)
    store = bundle_store()
    with origin_of(target, files=files, name=name) as origin, store.begin() as draft:
        wishes = find_bundlefile(origin.settings) or BundleFile()
        if lock is None and not platforms:
            lock = wishes.python.lock
        platforms = platforms or _wished_platforms(wishes, lock)
        said = _said(origin, wishes, data, metrics, provenance=provenance)
        sources = _sources(origin, wishes)
        refuse_secrets(
            sources, allow=wishes.allow_secrets, code=lambda path: origin.generated and path.endswith(".py")
        )
        content = fill(
            draft, origin, wishes, sources, lock=lock, python=python, platforms=platforms, progress=progress
        )
        info = _manifest(content, wishes, labels or {}, origin, said)
        _put_dockerfile(draft, info, content.texts, platforms)
        if check:
            info.options[CHECKED] = _check(draft, info, Path(origin.target.source), progress, routes=routes)
        progress("write to the store", 0, 0)
        info.name = name or origin.name or wishes.name or content.spec.name
        path = draft.commit(info.name, version, finish=lambda allotted: _finish(info, draft.folder, allotted))
    made = Bundle(Tag(info.name, info.version), info, path)
    store.warn_if_older(made.tag)
    return made


def _sources(origin: Origin, wishes: BundleFile) -> list[SourceFile]:
    folder = Path(origin.target.source)
    if origin.generated:
        return list_sources(folder)
    return list_sources(folder, include=wishes.include, exclude=wishes.exclude)


def _wished_platforms(wishes: BundleFile, lock: bool | None) -> Sequence[str]:
    """Those of the bundlefile; none without a lock, which is all that a platform has of its own."""
    try:
        for each in wishes.platforms:
            environment("", each)
    except ConfigError as error:
        raise ConfigError(f"platforms of the bundlefile: {error}") from error
    return () if lock is False else wishes.platforms


def _put_dockerfile(
    draft: Draft, info: BundleInfo, texts: Mapping[str, str], platforms: Sequence[str]
) -> None:
    """Adds what `docker build` needs in the bundle's folder; nothing else in the bundle depends on it."""
    plan = plan_of(info, texts, options=info.image)
    for each in platforms:  # where no image can be made, that is known now
        plan_of(info, texts, options=info.image, platform=each)
    for path, text in ((DOCKERFILE, render(plan)), (IGNORE_FILE, IGNORED)):
        info.files.append(put(draft, path, text.encode()))
    info.files.sort(key=lambda file: file.path)
    info.size_bytes = sum(file.size_bytes for file in info.files)
    info.digest = bundle_digest(info)


def _manifest(
    content: Content, wishes: BundleFile, labels: Mapping[str, str], origin: Origin, said: dict[str, Any]
) -> BundleInfo:
    """The manifest but for name and version, which the store allots, and what the Dockerfile adds."""
    lock = content.needed.lock
    locked = lock is not None and bool(lock.text)
    options: dict[str, Any] = {"locked": locked, REQUIREMENTS_FROM: content.needed.source}
    if not locked:
        options["unlocked_because"] = lock.reason if lock is not None else NOT_ASKED
    if content.untyped:
        options[UNTYPED] = dict(content.untyped)
    if notes := [*origin.notes, *map(origin.located, content.notes), *content.needed.notes]:
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
        return {**noted(origin.settings, generated=origin.generated), **origin.provenance, **said}
    return {**tools(), **given_only(origin.provenance), **said}


def _check(
    draft: Draft, info: BundleInfo, project: Path, progress: Progress, *, routes: bool
) -> dict[str, Any]:
    from .check.check import check, demand, record

    if routes:
        progress("call the routes", 0, 0)
    calls = record(draft.folder, info, project) if routes else []
    report = check(draft.folder, info, routes=routes, calls=calls, on_step=lambda step: progress(step, 0, 0))
    demand(report)
    found: dict[str, Any] = {"python": report.python, "packages": report.packages}
    return {**found, "examples": len(report.results), ROUTES: to_keep(calls)}


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
