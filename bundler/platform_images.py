"""Images of one bundle for several platforms, and the names that stand for all of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from ..errors import ImageError, NotFoundError, UsageError
from ..runtime.tag import Tag
from .bar import Progress, silent
from .bundles import Bundle
from .containerize import How, Image, Wish, build_image, image_names, wish_of
from .engines.choose import Choice, choose
from .engines.engine import Engine, Secret
from .image.plan import image_plan, platforms_of

EVERY = "all"
"""Stands for the platforms that a bundle is locked for."""


class PlatformImages(msgspec.Struct, kw_only=True, frozen=True):
    """What `containerize_platforms` made."""

    bundle: str
    """Tag of the bundle."""
    tags: list[str]
    """Names that stand for all of the images; the first is the bundle's tag."""
    images: list[Image]
    """One for each platform; their names are those of `tags`, with the processor: `iris:6f3k2q-arm64`."""
    digests: dict[str, str]
    """Name to the digest of its list of images, for those that were pushed; empty where the engine does not
    say it."""
    engine: str
    engine_reason: str
    """Why that engine."""
    run: str
    """The command that starts the one for this machine, or the first when there is none."""
    seconds: float


class _Job(NamedTuple):
    """One image to be made."""

    wish: Wish
    names: list[str]


def containerize_platforms(
    tag: str | Tag | Bundle,
    platforms: Sequence[str],
    *,
    tags: Sequence[str] = (),
    engine: str = "",
    base: str | None = None,
    cuda: str | None = None,
    push: bool = False,
    build_args: Mapping[str, str] | None = None,
    secrets: Sequence[Secret] = (),
    network: str = "",
    no_cache: bool = False,
    on_progress: Progress | None = None,
) -> PlatformImages:
    """Builds an image for each platform, one after the other, then joins them under one name.

    Podman and Buildah keep a list of them by that name. Docker's store has one image to a name, that of its
    own platform; the list is made in the registry when it is pushed.

    Args:
        tag: of a bundle in the store, or a bundle.
        platforms: `linux/amd64`, `linux/arm64`, each once.
        tags: as for `containerize`, as is all that follows.

    Raises:
        ImageError: a build or a push failed, or the engine joins no images; says for which platform.
        UsageError: as `containerize` does, as all other errors are.
    """
    progress = on_progress or silent
    began = time.monotonic()
    if push and not tags:
        raise UsageError("--push needs the name to push to: --tag registry.example.com/name:version")
    wishes = [wish_of(tag, base, cuda, each) for each in platforms]
    bundle = wishes[0].bundle
    names = image_names(bundle.tag, tags)
    jobs = [_Job(wish, image_names(None, [_own(name, wish.platform) for name in names])) for wish in wishes]
    own = {name: [_own(name, wish.platform) for wish in wishes] for name in names}
    choice = choose(engine)
    if not choice.engine.joins:
        raise ImageError(
            f"{choice.engine.name} joins no images for several platforms here: name one --platform, or use "
            "--engine docker, podman or buildah"
        )
    for wish in wishes:  # what cannot work is refused before minutes are spent on the first
        image_plan(wish.bundle, options=wish.options, platform=wish.platform)
    how = How(build_args or {}, secrets, network, no_cache)
    images = [_build(job, choice, how, progress) for job in jobs]
    for name in names:
        choice.engine.join(name, own[name])
    digests = {}
    if push:
        images = [_pushed(image, choice.engine, progress) for image in images]
        digests = {name: choice.engine.push_joined(name, own[name], progress) for name in tags}
    return PlatformImages(
        bundle=str(bundle.tag),
        tags=names,
        images=images,
        digests=digests,
        engine=choice.engine.name,
        engine_reason=choice.reason,
        run=_run(choice.engine, names[0], images),
        seconds=round(time.monotonic() - began, 2),
    )


def asked_platforms(tag: str | Tag | Bundle, words: Sequence[str]) -> list[str]:
    """Each once.

    Args:
        tag: the bundle, for `all`.
        words: `linux/arm64`, several with commas between, or `all`.

    Raises:
        NotFoundError: no such bundle.
        UsageError: `all` beside others.
    """
    named = [each.strip() for word in words for each in word.split(",") if each.strip()]
    if EVERY not in named:
        return list(dict.fromkeys(named))
    if set(named) != {EVERY}:
        raise UsageError(f"--platform {EVERY} stands for every platform: name none beside it")
    return platforms_of(wish_of(tag, None, None, "").bundle.info)


def _own(name: str, platform: str) -> str:
    """`iris:1-arm64` of `iris:1` and `linux/arm64`."""
    processor = "-".join(platform.split("/")[1:])
    tagged = ":" in name.rpartition("/")[2]
    return f"{name}{'' if tagged else ':latest'}-{processor}"


def _build(job: _Job, choice: Choice, how: How, progress: Progress) -> Image:
    platform = job.wish.platform
    try:
        return build_image(
            job.wish,
            choice,
            job.names,
            how,
            lambda step, done, total: progress(f"{platform}: {step}", done, total),
        )
    except ImageError as error:
        raise ImageError(f"{platform}: {error}") from error


def _pushed(image: Image, engine: Engine, progress: Progress) -> Image:
    """The names that have a registry: those but the first, which is the bundle's tag."""
    digests = {name: engine.push(name, progress) for name in image.tags[1:]}
    return msgspec.structs.replace(image, digests=digests)


def _run(engine: Engine, name: str, images: Sequence[Image]) -> str:
    try:
        here = engine.inspect(name).platform
    except NotFoundError:  # none of them is for the engine's own platform
        return images[0].run
    found = next((image for image in images if image.platform == here), images[0])
    return found.run.replace(found.tags[0], name)
