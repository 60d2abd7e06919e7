"""`env/python/` of a bundle: from the project's file, or its imports, to requirements, wheels and locks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from ...errors import BuildError
from ...runtime.manifest import ModelInfo, ServiceSpec
from ...runtime.service.bundlefile import PythonOptions
from ..describe_child import Description
from ..origin import Origin
from .environment import Environment, environment, this_platform, this_python
from .indexes import CONFIG_FILE, check_no_password, config_text, machine_indexes, named_indexes
from .infer import infer
from .installed import local_folder
from .line import has_password, name_of, read_line
from .local_versions import add_local_versions
from .lock import Lock, make_lock
from .lockfile import LOCK_FILE, REQUIREMENTS_FILE, WHEELS_FOLDER, platform_lock
from .needs import Index, Needs, Wanted
from .packing import pack, wheel_package
from .readers.poetry import only_poetry
from .requirements import Collected, collect_requirements, model_packages
from .sources import PYPROJECT, read_source, source_file
from .wheel import DISTRIBUTION, Wheel


class Code(NamedTuple):
    """What inference looks at."""

    source: Path
    """Folder of the snapshot's source."""
    modules: Sequence[str]
    """Its modules that were imported, the service's first."""
    seen: Iterable[tuple[str, str]] = ()
    """Importer and imported top-level module, as observed; an empty importer is the service's code."""
    imports: frozenset[str] = frozenset()
    """Top-level modules that are known to be imported."""


class _Subject(NamedTuple):
    """What requirements are collected for, whatever the platform."""

    project: Path
    options: PythonOptions
    code: Code
    models: Sequence[ModelInfo]
    service: ServiceSpec
    generated: bool

    @property
    def file(self) -> Path | None:
        """The file that counts."""
        if self.generated and not self.options.requirements:
            return None
        return source_file(self.project, self.options)


class Dependencies(NamedTuple):
    """What goes into `env/python/`, and what is to be said of it."""

    texts: dict[str, str]
    """Content by path in the bundle; never empty."""
    wheels: list[Wheel]
    """Of packages that no index has."""
    lock: Lock | None
    """None: not asked for."""
    python: str
    """`3.12`: what they are for."""
    source: str
    """Where they come from: `uv.lock (group serve)`, `imports`."""
    notes: list[str]


def dependencies(
    project: Path,
    options: PythonOptions,
    code: Code,
    *,
    models: Sequence[ModelInfo],
    service: ServiceSpec,
    generated: bool = False,
    python: str = "",
    lock: bool | None = None,
    platforms: Sequence[str] = (),
) -> Dependencies:
    """
    Args:
        project: the folder of the bundlefile.
        options: its key `python`.
        code: for inference.
        models: every model of the bundle.
        service: its schema needs packages too.
        generated: the code was written for the build: only a file that the bundlefile names counts.
        python: `3.12`; empty: the bundlefile's, else this one.
        lock: as of `build`.
        platforms: to lock for besides this machine's.

    Raises:
        BuildError, ConfigError: as the readers, `collect_requirements`, `pack` and `make_lock`.
    """
    named = [environment(python or options.version, each) for each in platforms]
    here = environment(python or options.version)
    subject = _Subject(project, options, code, models, service, generated)
    needs, wheels, collected = _collect(subject, here, ask=lock is not False)
    for each in collected.wanted:
        if has_password(each.text):  # a lock that another tool wrote
            raise BuildError(
                f"{each.where}: {name_of(each.text)} has an address with a password: bundles are shared"
            )
    texts = {REQUIREMENTS_FILE: collected.text, CONFIG_FILE: config_text(needs.indexes)}
    made = None
    if lock is not False:
        required = lock is True or bool(platforms)
        made = make_lock(collected, here, needs=needs, wheels=wheels, required=required)
        texts[LOCK_FILE] = made.text
    for platform, there in zip(platforms, named, strict=True):
        if platform == this_platform():
            continue
        other, more, asked = _collect(subject, there, ask=True)
        found = make_lock(asked, there, needs=other, wheels=more, platform=platform, required=True)
        texts[platform_lock(platform)] = found.text
        wheels += [wheel for wheel in more if wheel.name not in {each.name for each in wheels}]
    notes = [*needs.notes, *collected.notes, *_by_ssh(collected)]
    if here.python != this_python():
        notes.append(f"the service was checked with Python {this_python()} and is locked for {here.python}")
    return Dependencies(
        texts={path: text for path, text in texts.items() if text},
        wheels=wheels,
        lock=made,
        python=here.python,
        source=needs.source,
        notes=list(dict.fromkeys(notes)),
    )


def code_of(source: Path, origin: Origin, described: Description) -> Code:
    """What inference looks at.

    Args:
        source: folder of the snapshot's source.
        origin: names the service.
        described: what its import brought along.
    """
    own = {name for name, file in described.modules.items() if Path(file).is_relative_to(source.resolve())}
    first = origin.target.service.partition(":")[0]
    return Code(source, [first, *sorted(own - {first})], described.imported, origin.imports)


def wheel_path(wheel: Wheel) -> str:
    """Where it lies in the bundle."""
    return WHEELS_FOLDER + wheel.name


def packed_folders(project: Path, options: PythonOptions, *, generated: bool = False) -> list[Path]:
    """Folders that become wheels: what a service imports from there is in the bundle.

    Raises:
        BuildError, ConfigError: as the readers.
    """
    file = None if generated and not options.requirements else source_file(project, options)
    if file is None:  # what is imported of these is inferred
        return [folder for each in distributions() if (folder := local_folder(each))]
    return [local.path for local in read_source(file, project, options, environment(options.version)).locals]


def _collect(subject: _Subject, where: Environment, *, ask: bool) -> tuple[Needs, list[Wheel], Collected]:
    """What is needed, the wheels of it, and all as requirements; `ask`: an index may be asked something."""
    project, options, code, models, service, generated = subject
    file = subject.file
    if file is not None:
        needs = read_source(file, project, options, where)
    else:
        poetry = () if generated else only_poetry(project / PYPROJECT)
        needs = infer(code.source, code.modules, seen=code.seen, more=code.imports)
        # A model is loaded with what it was saved with, whatever is installed here.
        known = model_packages(models) | {name_of(line) for line in options.packages}
        needs.wanted = [each for each in needs.wanted if name_of(each.text) not in known]
        if poetry:
            needs.notes.append(
                f"{poetry[0].where} and below name packages for Poetry, which only poetry.lock can tell: "
                "there is none, so the imports tell; poetry lock makes one"
            )
    for line in options.packages:
        needs.add(read_line(line, "python.packages of the bundlefile", project))
    known_indexes = {**machine_indexes(), **{index.name: index for index in needs.indexes}}
    indexes = named_indexes(options.indexes, known_indexes)
    needs.indexes = list(dict.fromkeys([*indexes, *needs.indexes]))
    _check_routes(needs, known_indexes)
    if ask:
        gpus = any(runner.gpus for runner in service.runners)
        add_local_versions(needs, models, where, inferred=file is None, gpus=gpus)
    return needs, _pack(needs, where), collect_requirements(needs, models, service)


def _by_ssh(collected: Collected) -> list[str]:
    return [
        f"{name_of(each.text)} comes by ssh ({each.where}): an image that is being built has no key, so "
        "bundle containerize will fail; name a wheel of it, or use git+https:// if it is public"
        for each in collected.wanted
        if "git+ssh://" in each.text
    ]


def _check_routes(needs: Needs, known: Mapping[str, Index]) -> None:
    """An index that a package names may be known to the machine only."""
    names = {index.name for index in needs.indexes}
    for package, name in needs.routed.items():
        index = known.get(name)
        if name not in names and index is not None:
            check_no_password(index.name, index.url)
            needs.indexes.append(index)
            names.add(name)
        if name not in names:
            raise BuildError(f"{package} is to come from the index {name!r}, whose address is not known here")


def _pack(needs: Needs, where: Environment) -> list[Wheel]:
    """Makes the wheels, and asks for them."""
    wheels: dict[str, Wheel] = {}
    for local in needs.locals:
        if not where.holds(local.marker):
            continue
        extras = f"[{','.join(local.extras)}]" if local.extras else ""
        if local.name == DISTRIBUTION:  # every bundle has its wheel
            needs.wanted.append(Wanted(local.name + extras, local.where))
            continue
        wheel = pack(local, where)
        name = wheel_package(wheel)
        if local.name and name != local.name:
            raise BuildError(f"{local.where}: {local.path} is {name}, and {local.name} is asked for")
        needs.wanted.append(Wanted(f"{name}{extras} @ ./wheels/{wheel.name}", local.where))
        wheels.setdefault(name, wheel)
    return list(wheels.values())
