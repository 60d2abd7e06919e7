"""From a bundle to all that its Dockerfile says: base, dependencies, layers, settings.

The Dockerfile is part of the bundle, whose digest leaves name, version, labels and provenance out; so they
are not in it either. They come to the image as `labels`, given to the engine beside the Dockerfile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import msgspec

from ...errors import BuildError, ConfigError, IntegrityError
from ...runtime.manifest import BundleInfo, FileEntry
from ...runtime.service.image_options import ImageOptions
from ...runtime.service.load import SOURCE_FOLDER
from ..bundles import Bundle
from ..epoch import EPOCH
from ..python.indexes import CONFIG_FILE, credential_names
from ..python.lockfile import (
    LOCK_FILE,
    LOCK_PATTERN,
    REQUIREMENTS_FILE,
    WHEELS_FOLDER,
    Locked,
    from_any_index,
    platform_lock,
    read_lock,
    read_requirements,
    without_hash,
)
from ..python.wheel import DISTRIBUTION
from .base import Base
from .bases import resolve_base
from .layers import Layer, early_layers, joined, late_layers, model_layers, place_of, placed

DOCKERFILE = "env/docker/Dockerfile"
IGNORE_FILE = f"{DOCKERFILE}.dockerignore"
TEMPLATE_FILE = "env/docker/Dockerfile.j2"
"""The project's own template, kept so that an image with other options needs the bundle only."""

UV_IMAGE = "ghcr.io/astral-sh/uv:0.13.9"
"""Installs the dependencies. Pinned: the Python that it brings changes with its version."""
BUNDLE_ROOT = "/bundle"
PORT = 3000


class ImagePlan(msgspec.Struct, kw_only=True, frozen=True):
    """One image. What of it the Dockerfile shows, `templates/image/Dockerfile.j2` says."""

    service: str
    """Name of the service, which is also the bundle's unless it was given another."""
    base: Base
    options: ImageOptions
    requirements: str
    """The lock, without one `requirements.in`; its path in the context."""
    locked: bool
    hashed: bool
    """Whether every package of the lock has hashes; those from repositories have none."""
    builder_packages: list[str]
    """System packages that installing needs and the image does not: `git`."""
    wheel: str
    """tiffin's own wheel; its path in the context."""
    wheel_sha256: str
    tiffin: str
    """Its version."""
    local_wheels: list[str] = []
    """Wheels of the packages that no index has; their paths in the context."""
    uv_config: str = ""
    """uv's configuration with the named indexes; its path in the context; empty: there are none."""
    credentials: list[str] = []
    """Names of the build secrets, and of uv's variables, that hold user and password of each named index."""
    indexes: bool = False
    """Whether packages come from several indexes, each from any that has it: `from_any_index`."""
    early: list[Layer]
    """Files that change less often than models."""
    models: list[Layer]
    late: list[Layer]
    """Files that change with the models or the code."""
    link: bool
    """Whether the engine knows `COPY --link` (BuildKit does since Docker 23)."""
    template: str
    """Text of the project's own template; empty: ours as it is."""
    labels: dict[str, str]
    """For `--label`: they change with every build, so the Dockerfile has none of them."""
    build_args: dict[str, str]
    """For `--build-arg`."""
    warnings: list[str]
    """What a user should know before the image is used; a sentence each."""

    @property
    def layers(self) -> list[Layer]:
        """All layers of the bundle's files, first to last."""
        return [*self.early, *self.models, *self.late]


def image_plan(
    bundle: Bundle,
    *,
    options: ImageOptions | None = None,
    platform: str = "",
    link: bool = True,
    arranged: bool = False,
) -> ImagePlan:
    """What the image of a bundle is to be.

    Args:
        bundle: in the store, or exported.
        options: None: those that the bundle was built with.
        platform: `linux/amd64`, `linux/arm64`; empty: that of the machine that built the bundle.
        link: False for engines that do not know `COPY --link`.
        arranged: the engine gets what `contents` says and not the bundle's folder, so where files lie in it
            is ours to choose: that makes two builds give the same layers.

    Raises:
        ConfigError: there is no base for what the options ask.
        BuildError: the bundle is of a tiffin that made no images.
        IntegrityError: its lock is damaged.
    """
    read = {REQUIREMENTS_FILE, LOCK_FILE, TEMPLATE_FILE, CONFIG_FILE}
    texts = {
        entry.path: (bundle.path / entry.path).read_text(encoding="utf-8")
        for entry in bundle.info.files
        if entry.path in read or LOCK_PATTERN.fullmatch(entry.path)
    }
    plan = plan_of(
        bundle.info,
        texts,
        options=bundle.info.image if options is None else options,
        platform=platform,
        link=link,
    )
    return _placed(plan) if arranged else plan


def plan_of(
    info: BundleInfo,
    texts: Mapping[str, str],
    *,
    options: ImageOptions,
    platform: str = "",
    link: bool = True,
) -> ImagePlan:
    """The same, of a bundle that is being made.

    Args:
        info: of the bundle, with every file but the Dockerfile.
        texts: content of `requirements.in`, `uv.toml`, each lock and the project's template, by their paths.
    """
    wheel = _wheel(info)
    lock = _lock(info, texts, platform)
    locked = lock in texts
    packages = read_lock(texts[lock]) if locked else read_requirements(texts.get(REQUIREMENTS_FILE, ""))
    base = resolve_base(
        options,
        python=info.python,
        packages={package.name: package.version for package in packages},
        platform=platform or _platform(info),
        gpus=sum(runner.gpus for runner in info.service.runners),
    )
    hashed = locked and not without_hash(packages)
    return ImagePlan(
        service=info.service.name,
        base=base,
        options=options,
        requirements=lock if locked else REQUIREMENTS_FILE,
        locked=locked,
        hashed=hashed,
        builder_packages=["git"] if any(package.url.startswith("git+") for package in packages) else [],
        wheel=wheel.path,
        wheel_sha256=wheel.sha256,
        tiffin=_version(wheel),
        local_wheels=[
            entry.path for entry in info.files if entry.path.startswith(WHEELS_FOLDER) and entry != wheel
        ],
        uv_config=CONFIG_FILE if CONFIG_FILE in texts else "",
        credentials=credential_names(texts.get(CONFIG_FILE, "")),
        indexes=locked and from_any_index(texts[lock]),
        early=early_layers(info, BUNDLE_ROOT),
        models=model_layers(info, BUNDLE_ROOT),
        late=late_layers(info, BUNDLE_ROOT),
        link=link,
        template=texts.get(TEMPLATE_FILE, ""),
        labels=_labels(info),
        build_args={"SOURCE_DATE_EPOCH": str(epoch())},
        warnings=[
            *_lock_warnings(info, packages, locked=locked),
            *_platform_warnings(info, platform, lock if locked else ""),
            *filter(None, [base.advice]),
        ],
    )


def _placed(plan: ImagePlan) -> ImagePlan:
    layers = placed(
        [*plan.early, *plan.models, joined(plan.late, BUNDLE_ROOT)], f"{BUNDLE_ROOT}/{SOURCE_FOLDER}"
    )
    early, late = len(plan.early), len(plan.early) + len(plan.models)
    return msgspec.structs.replace(
        plan,
        early=layers[:early],
        models=layers[early:late],
        late=layers[late:],
        requirements=place_of(plan.requirements, layers, BUNDLE_ROOT),
        wheel=place_of(plan.wheel, layers, BUNDLE_ROOT),
        local_wheels=[place_of(path, layers, BUNDLE_ROOT) for path in plan.local_wheels],
        uv_config=place_of(plan.uv_config, layers, BUNDLE_ROOT) if plan.uv_config else "",
    )


def epoch() -> int:
    """Seconds since 1970 that all files of an image are dated with: `$SOURCE_DATE_EPOCH`, else `EPOCH`.

    Raises:
        ConfigError: the variable is no number of seconds.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return EPOCH
    if not (text.isascii() and text.isdecimal() and int(text) < 1 << 33):
        raise ConfigError(f"SOURCE_DATE_EPOCH={text!r}: use whole seconds since 1970, below {1 << 33}")
    return int(text)


def template_text(project: Path, options: ImageOptions) -> str:
    """The project's own template; empty when it has none.

    Raises:
        ConfigError: there is no such file, or it is no text.
    """
    if not options.dockerfile_template:
        return ""
    path = project / options.dockerfile_template
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"image.dockerfile_template: there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"image.dockerfile_template: cannot read {path}: {error}") from error


def _wheel(info: BundleInfo) -> FileEntry:
    for entry in info.files:
        if entry.path.startswith(f"{WHEELS_FOLDER}{DISTRIBUTION}-") and entry.path.endswith(".whl"):
            return entry
    raise BuildError(
        f"bundle {info.name}:{info.version} has no wheel of tiffin in {WHEELS_FOLDER}: build it again"
    )


def _version(wheel: FileEntry) -> str:
    parts = wheel.path.rpartition("/")[2].split("-")
    if len(parts) < 5:
        raise IntegrityError(f"{wheel.path} is not the name of a wheel")
    return parts[1]


def platforms_of(info: BundleInfo) -> list[str]:
    """`linux/amd64`, …: what a bundle is locked for, that of the machine that built it first."""
    locks = [PurePosixPath(entry.path).name for entry in info.files if LOCK_PATTERN.fullmatch(entry.path)]
    others = [name.split(".")[1].replace("-", "/") for name in locks]
    return list(dict.fromkeys([_platform(info), *others]))


def _platform(info: BundleInfo) -> str:
    """`linux/amd64` of a bundle that was built on `darwin-x86_64`: what it is locked for."""
    machine = info.platform.rpartition("-")[2]
    return f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }"


def _labels(info: BundleInfo) -> dict[str, str]:
    """https://github.com/opencontainers/image-spec/blob/main/annotations.md, the user's, and tiffin's own."""
    git = info.provenance.get("git") or {}
    found = {
        "org.opencontainers.image.title": info.name,
        "org.opencontainers.image.version": info.version,
        "org.opencontainers.image.description": info.description or info.service.doc.partition("\n")[0],
        "org.opencontainers.image.created": info.created,
        "org.opencontainers.image.revision": str(git.get("commit", "")),
    }
    own = {"tiffin.bundle": f"{info.name}:{info.version}", "tiffin.digest": info.digest}
    return {name: value for name, value in {**found, **info.labels, **own}.items() if value}


def _lock(info: BundleInfo, texts: Mapping[str, str], platform: str) -> str:
    """The path of the lock for a platform: one of its own, else the one that every bundle has."""
    own = platform_lock(platform)
    return own if platform and not platform.startswith(_platform(info)) and own in texts else LOCK_FILE


def _platform_warnings(info: BundleInfo, platform: str, lock: str) -> list[str]:
    """Hashes are those of all platforms; which packages there are was decided on one."""
    built_on = _platform(info)
    if not platform or platform.startswith(built_on) or lock != LOCK_FILE:
        return []
    warning = (
        f"the requirements were locked for {built_on} and the image is for {platform}: what only the latter "
        "needs is missing, and a package without a file for it stops the build; "
        f"bundle build --platform {platform} locks for both"
    )
    return [warning]


def _lock_warnings(info: BundleInfo, packages: list[Locked], *, locked: bool) -> list[str]:
    if not locked:
        why = info.options.get("unlocked_because", "")
        return [
            "the requirements are not locked"
            + (f" ({why})" if why else "")
            + ": two builds may install different versions, and no hash is checked; bundle build --lock"
        ]
    if names := without_hash(packages):
        return [f"{', '.join(names)}: from a repository, so without a hash to check; the others have theirs"]
    return []
