"""What goes into a bundle before its Dockerfile and manifest: code, models, requirements, descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from ..errors import BuildError, IntegrityError, NotFoundError
from ..runtime.cgroup import cpu_count
from ..runtime.home import models_folder
from ..runtime.manifest import (
    MODEL_FILE,
    FileEntry,
    ModelInfo,
    ServiceSpec,
)
from ..runtime.model.model import Model
from ..runtime.service.bundlefile import BundleFile
from ..runtime.service.load import SOURCE_FOLDER
from ..runtime.shelf import Shelf
from ..runtime.tag import Tag
from .bar import Progress
from .describe import describe
from .draft import Draft
from .image.plan import (
    TEMPLATE_FILE,
    template_text,
)
from .image.sbom import SBOM_FILE, other_locks, render_sbom
from .missing_names import refuse_missing_names
from .origin import Origin
from .python.dependencies import Dependencies, code_of, dependencies, packed_folders, wheel_path
from .python.environment import this_platform
from .python.lockfile import LOCK_FILE, read_lock
from .python.wheel import runtime_wheel
from .readme import render_readme
from .secrets_scan import refuse_secrets
from .snapshot import SourceFile

OPENAPI_FILE = "apis/openapi.json"
PROTO_FILE = "apis/service.proto"
README_FILE = "README.md"


@dataclass(frozen=True)
class Content:
    """What was put into the draft."""

    spec: ServiceSpec
    models: Sequence[Model]
    files: Sequence[FileEntry]
    texts: Mapping[str, str]
    """Files that the Dockerfile follows from, by path."""
    needed: Dependencies
    untyped: Mapping[str, str]
    """Api to the reason why it has no typed gRPC method."""
    notes: Sequence[str]
    """What the user should know of the code; a sentence each."""


def fill(
    draft: Draft,
    origin: Origin,
    wishes: BundleFile,
    sources: Sequence[SourceFile],
    *,
    lock: bool | None,
    python: str,
    platforms: Sequence[str],
    progress: Progress,
) -> Content:
    """Puts all of it into the draft; raises what `build` does."""
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
    classes = [spec.cls, *(runner.cls for runner in spec.runners if runner.cls)]
    notes = refuse_missing_names(described.lost, classes)
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
    files += [put(draft, path, text.encode()) for path, text in texts.items()]
    files += [put(draft, wheel_path(each), each.data) for each in (wheel, *needed.wheels)]
    files.sort(key=lambda file: file.path)
    return Content(spec, models, files, image_texts, needed, described.untyped, notes)


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


def put(draft: Draft, path: str, data: bytes) -> FileEntry:
    file = draft.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return FileEntry(path=path, size_bytes=len(data), sha256=sha256(data).hexdigest())


def _json(value: object) -> str:
    """Keys sorted, so that the same document is the same text."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2).decode() + "\n"
