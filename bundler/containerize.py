"""`tiffin.containerize`: one bundle → one container image, by whichever engine is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..errors import ConfigError, ImageError, NoEngineError, UsageError
from ..runtime.service.image_options import ImageOptions, changed, is_reference
from ..runtime.tag import Tag
from . import bundles
from .bar import Progress, shown, silent
from .bundles import Bundle
from .engines.choose import Choice, choose
from .engines.engine import BuildRequest, Engine, Secret
from .engines.output import Output, check_place, write_output
from .image.context import DOCKERFILE_BESIDE, contents, context
from .image.dockerfile import render
from .image.plan import ImagePlan, image_plan, platforms_of
from .image.staging import staged

_RUNNER = {"buildah": "podman"}


class Image(msgspec.Struct, kw_only=True, frozen=True):
    """What `containerize` made."""

    bundle: str
    """Tag of the bundle."""
    tags: list[str]
    """Names of the image; the first is the bundle's tag."""
    id: str
    """`sha256:…` of its configuration: the same for the same image, wherever it is built."""
    digests: dict[str, str]
    """Name to the digest that its registry gave it, for those that were pushed."""
    size_bytes: int
    """Unpacked, the base included."""
    layers: list[str]
    """Digests of the unpacked layers, the base's first."""
    base: str
    """`python:3.11-slim`"""
    reason: str
    """Why that base."""
    cuda: str
    """`12.8`; empty: none."""
    platform: str
    engine: str
    engine_reason: str
    """Why that engine."""
    outputs: list[str]
    """Files and folders that were written."""
    run: str
    """The command that starts it."""
    warnings: list[str]
    seconds: float


class Wish(NamedTuple):
    """What was asked for, checked."""

    bundle: Bundle
    options: ImageOptions
    platform: str


class How(NamedTuple):
    """What the steps of a build are given, whatever the image; as for `containerize`."""

    build_args: Mapping[str, str]
    secrets: Sequence[Secret]
    network: str
    no_cache: bool


@shown("look for an engine", lambda made: f"built the image of {made.bundle}")
def containerize(
    tag: str | Tag | Bundle,
    *,
    tags: Sequence[str] = (),
    engine: str = "",
    base: str | None = None,
    cuda: str | None = None,
    platform: str = "",
    push: bool = False,
    outputs: Sequence[Output] = (),
    build_args: Mapping[str, str] | None = None,
    secrets: Sequence[Secret] = (),
    network: str = "",
    no_cache: bool = False,
    on_progress: Progress | None = None,
) -> Image:
    """Builds the image of a bundle. The bundle is read where it is in the store, and copied nowhere else.

    Args:
        tag: of a bundle in the store, or a bundle.
        tags: more names for the image, `registry.example.com/iris:1`; its first is always the bundle's tag.
        engine: `docker`, `podman`, `buildah` or `nerdctl`; empty: the first that answers.
        base: in place of the bundlefile's `image: {base: …}`.
        cuda: in place of the bundlefile's `image: {cuda: …}`: `auto`, `none`, `12.8`.
        platform: `linux/amd64`, `linux/arm64`; empty: that of the machine that built the bundle.
        push: push every name of `tags` to its registry.
        outputs: files and folders to write the image to.
        build_args: for the `ARG`s of the Dockerfile.
        secrets: what the build may read: `ca`, `netrc`, `uv.toml`, and those of a template of your own.
        network: of the steps of the build: `host`, `none`; empty: the engine's own.
        no_cache: build each step anew.
        on_progress: told what is going on; None: a bar on a terminal and in a notebook.

    Raises:
        NotFoundError: no such bundle.
        ConfigError: there is no base for what is asked, or a template is wrong.
        UsageError: a name that no image can have, `push` without a name to push, or two outputs at one place.
        NoEngineError: no engine answers; the context lies ready where the message says.
        ImageError: the build, the push or an output failed; says which step, and what to change.
        IntegrityError: the bundle is damaged.
    """
    progress = on_progress or silent
    began = time.monotonic()
    _check(tags, push, outputs)
    wish = wish_of(tag, base, cuda, platform)
    names = image_names(wish.bundle.tag, tags)
    try:
        choice = choose(engine)
    except NoEngineError as error:
        raise without_engine(wish, error) from error
    how = How(build_args or {}, secrets, network, no_cache)
    made = build_image(wish, choice, names, how, progress)
    for output in outputs:
        write_output(choice.engine, names[0], output, progress)
    digests = {name: choice.engine.push(name, progress) for name in tags} if push else {}
    return msgspec.structs.replace(
        made,
        digests=digests,
        outputs=[str(output.path) for output in outputs],
        seconds=round(time.monotonic() - began, 2),
    )


def build_image(wish: Wish, choice: Choice, names: Sequence[str], how: How, progress: Progress) -> Image:
    """One image in the store of the engine, not pushed and written nowhere else; raises what `containerize`
    does."""
    began = time.monotonic()
    engine = choice.engine
    plan = image_plan(
        wish.bundle,
        options=wish.options,
        platform=wish.platform,
        link=engine.link,
        arranged=engine.arranged,
    )
    image_id = engine.build(_request(wish, plan, names, how), progress)
    facts = engine.inspect(names[0])
    _check_platform(wish.platform, facts.platform, engine, plan.base.image)
    return Image(
        bundle=str(wish.bundle.tag),
        tags=list(names),
        id=image_id,
        digests={},
        size_bytes=facts.size_bytes,
        layers=facts.layers,
        base=plan.base.image,
        reason=plan.base.reason,
        cuda=plan.base.cuda,
        platform=facts.platform,
        engine=engine.name,
        engine_reason=choice.reason,
        outputs=[],
        run=_run_command(engine, names[0], facts.port, plan.base.run_options),
        warnings=plan.warnings,
        seconds=round(time.monotonic() - began, 2),
    )


def dockerfile_of(
    tag: str | Tag | Bundle,
    *,
    base: str | None = None,
    cuda: str | None = None,
    platform: str = "",
    on_warning: Callable[[str], None] | None = None,
) -> str:
    """The Dockerfile that `containerize` would build, as for an engine that knows all of it.

    Args:
        tag: of a bundle in the store, or a bundle.
        base: as for `containerize`.
        cuda: as for `containerize`.
        platform: as for `containerize`.
        on_warning: called with each sentence that a user should read.

    Raises:
        NotFoundError: no such bundle.
        ConfigError: there is no base for what is asked, or a template is wrong.
    """
    wish = wish_of(tag, base, cuda, platform)
    plan = image_plan(wish.bundle, options=wish.options, platform=wish.platform)
    if on_warning is not None:
        for warning in plan.warnings:
            on_warning(warning)
    return render(plan)


def _check_platform(asked: str, made: str, engine: Engine, base: str) -> None:
    """Engines take the base of another platform when it is all that they have, and steps from their cache
    that another platform's build has made (Buildah 1.28 below `FROM scratch`)."""
    if asked and asked.split("/")[:2] != made.split("/")[:2]:
        raise ImageError(
            f"{engine.name} made an image for {made}, where {asked} was asked for: check that {base} exists "
            "for it, and build with --no-cache"
        )


def _check(tags: Sequence[str], push: bool, outputs: Sequence[Output]) -> None:
    if push and not tags:
        raise UsageError(
            "--push needs the name to push to: --tag registry.example.com/name:version, for instance"
        )
    places = [output.path.resolve() for output in outputs]
    if len(set(places)) < len(places):
        raise UsageError("two outputs are at the same place")
    for output in outputs:  # before minutes are spent on a build
        check_place(output)


def image_names(tag: Tag | None, tags: Sequence[str]) -> list[str]:
    """Each once, that of the bundle first.

    Raises:
        UsageError: one that no image can have.
    """
    names = list(dict.fromkeys([*([str(tag)] if tag else []), *tags]))
    for name in names:
        if "@" in name or not is_reference(name):
            raise UsageError(
                f"{name!r} cannot be the name of an image: use registry.example.com/name:version, the name "
                "in lower case"
            )
    return names


def wish_of(tag: str | Tag | Bundle, base: str | None, cuda: str | None, platform: str) -> Wish:
    bundle = tag if isinstance(tag, Bundle) else bundles.get(tag)
    asked = {name: value for name, value in (("base", base), ("cuda", cuda)) if value is not None}
    if base is not None:  # a base of the caller's takes the place of what the bundlefile says of bases
        asked = {"accelerator": "", "distro": "", **asked}
    if platform and not platform.startswith("linux/"):
        raise ConfigError(f"--platform {platform}: use linux/amd64 or linux/arm64")
    return Wish(bundle, changed(bundle.info.image, **asked), platform)


def _request(wish: Wish, plan: ImagePlan, names: Sequence[str], how: How) -> BuildRequest:
    text = render(plan)

    def stream() -> Iterator[bytes]:
        return context(wish.bundle, dockerfile=text, layers=plan.layers)

    def folder(progress: Progress) -> AbstractContextManager[Path | None]:
        members = contents(wish.bundle, dockerfile=text, layers=plan.layers)
        platform = wish.platform or platforms_of(wish.bundle.info)[0]
        return staged(wish.bundle, members, f"{wish.bundle.tag.name}-{platform.replace('/', '-')}", progress)

    return BuildRequest(
        dockerfile=text,
        folder=wish.bundle.path,
        context=stream,
        staged=folder,
        dockerfile_path=DOCKERFILE_BESIDE,
        tags=names,
        labels=plan.labels,
        build_args={**plan.build_args, **how.build_args},
        secrets=how.secrets,
        platform=wish.platform,
        network=how.network,
        no_cache=how.no_cache,
        timestamp=int(plan.build_args["SOURCE_DATE_EPOCH"]),
    )


def without_engine(wish: Wish, error: NoEngineError) -> NoEngineError:
    """Writes the context where the user can take it to an engine."""
    plan = image_plan(wish.bundle, options=wish.options, platform=wish.platform)
    tag = wish.bundle.tag
    path = Path(f"{tag.name}-{tag.version}.context.tar").absolute()
    try:
        with path.open("wb") as file:
            for block in context(wish.bundle, dockerfile=render(plan)):
                file.write(block)
    except BaseException as failed:  # a damaged bundle, a full disk
        path.unlink(missing_ok=True)
        if isinstance(failed, OSError) and failed.strerror:
            raise NoEngineError(
                f"{error}\nThe build context cannot be written to {path}: {failed}"
            ) from failed
        raise
    return NoEngineError(
        f"{error}\nThe build context is in {path}; where Docker is, this builds it:\n"
        f"  docker build -t {tag} - < {path.name}"
    )


def _run_command(engine: Engine, name: str, port: int, options: Sequence[str]) -> str:
    """What to type: `docker run --rm -p 3000:3000 --gpus all iris:6f3k2q`."""
    program = _RUNNER.get(engine.name, engine.name)
    extra = " ".join(options)
    if program == "podman":
        extra = extra.replace("--gpus all", "--device nvidia.com/gpu=all")
    return " ".join(filter(None, [program, "run --rm", f"-p {port}:{port}" if port else "", extra, name]))
