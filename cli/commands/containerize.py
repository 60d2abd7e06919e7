"""`bundle containerize`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import click

from .. import console
from ..ending import orderly_end
from ..mending import damage_hinted
from ..offered import offered_platforms
from ..tags import BundleTag

if TYPE_CHECKING:
    from ...bundler.bar import Progress
    from ...bundler.containerize import Image
    from ...bundler.engines.engine import Secret
    from ...bundler.platform_images import PlatformImages
    from ...runtime.tag import Tag


class _How(TypedDict):
    """What builds of one and of several platforms take alike."""

    tags: tuple[str, ...]
    push: bool
    cuda: str | None
    base: str | None
    engine: str
    build_args: dict[str, str]
    secrets: list[Secret]
    network: str
    no_cache: bool
    on_progress: Progress


ENGINES = ("docker", "podman", "buildah", "nerdctl")


@click.command()
@click.argument("tag", type=BundleTag())
@click.option(
    "-t", "--tag", "tags", multiple=True, metavar="NAME", help="One more name for the image. Repeatable."
)
@click.option("--push", is_flag=True, help="Push the names of --tag to their registries.")
@click.option("--cuda", help="Toolkit: auto, none or a version such as 12.8.  [what the bundlefile says]")
@click.option("--base", metavar="IMAGE", help="Image to build on, by name or digest.  [what fits the bundle]")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="PLATFORM,…",
    shell_complete=offered_platforms(several=True),
    help="linux/amd64, linux/arm64, both, or all that the bundle is locked for.  [that of the bundle]",
)
@click.option("--engine", type=click.Choice(ENGINES), help="Who builds.  [the first that answers]")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="KIND=PATH",
    help="Write the image too: tar=FILE for docker load, oci=FILE, dir=FOLDER. Repeatable.",
)
@click.option(
    "--build-arg", "build_args", multiple=True, metavar="KEY=VALUE", help="For an ARG of the Dockerfile."
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="id=ID,src=FILE",
    help="What the build may read and no layer keeps; or id=ID,env=VARIABLE. Ids: ca, netrc, uv.toml.",
)
@click.option("--network", default="", help="Network of the build's steps: host, none.  [the engine's own]")
@click.option("--no-cache", is_flag=True, help="Build every step anew.")
@click.option("--print", "show", is_flag=True, help="Print the Dockerfile and build nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print the id of the image, and nothing else.")
@damage_hinted()
def command(  # noqa: PLR0917 - click passes them by name
    tag: Tag,
    tags: tuple[str, ...],
    push: bool,
    cuda: str | None,
    base: str | None,
    platforms: tuple[str, ...],
    engine: str | None,
    outputs: tuple[str, ...],
    build_args: tuple[str, ...],
    secrets: tuple[str, ...],
    network: str,
    no_cache: bool,
    show: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make a container image of the bundle TAG: docker, podman, buildah or nerdctl, whichever is there."""
    from ...bundler.containerize import containerize, dockerfile_of
    from ...bundler.engines.output import Output
    from ...bundler.platform_images import PlatformImages, asked_platforms, containerize_platforms

    asked = asked_platforms(tag, platforms) or [""]
    if len(asked) > 1 and (show or outputs):
        option = "--print" if show else "--output"
        raise click.UsageError(f"{option} is for one platform: name one --platform")
    if show:
        text = dockerfile_of(tag, base=base, cuda=cuda, platform=asked[0], on_warning=console.warning)
        click.echo(text, nl=False)
        return
    with orderly_end(), console.progress("look for an engine", quiet=as_json or quiet) as progress:

        def tell(step: str, done: int, total: int) -> None:
            progress.update(step, done=done, total=total or None)

        how: _How = {
            "tags": tags,
            "push": push,
            "cuda": cuda,
            "base": base,
            "engine": engine or "",
            "build_args": dict(_pair(text) for text in build_args),
            "secrets": [_secret(text) for text in secrets],
            "network": network,
            "no_cache": no_cache,
            "on_progress": tell,
        }
        made: Image | PlatformImages
        if len(asked) > 1:
            made = containerize_platforms(tag, asked, **how)
        else:
            written = [Output.parse(text) for text in outputs]
            made = containerize(tag, platform=asked[0], outputs=written, **how)
    images = made.images if isinstance(made, PlatformImages) else [made]
    if as_json:
        console.emit_json(made)
    elif quiet:
        for image in images:
            console.say(image.id)
    else:
        for warning in dict.fromkeys(warning for image in images for warning in image.warnings):
            console.warning(warning)
        if isinstance(made, PlatformImages):
            _panel_of_platforms(made)
        else:
            _panel(made)


def _panel(made: Image) -> None:
    from ...bundler.words import digest_words, size_words

    rows: list[tuple[str, Any]] = [
        ("image", "  ".join(made.tags)),
        ("id", digest_words(made.id)),
        *(("pushed", f"{name}@{digest}") for name, digest in made.digests.items()),
        ("size", f"{size_words(made.size_bytes)} in {len(made.layers)} layers"),
        ("base", made.base),
        ("because", made.reason),
        ("platform", made.platform),
        ("engine", made.engine_reason),
        *(("written", path) for path in made.outputs),
        ("took", f"{made.seconds:.1f} s"),
    ]
    console.panel(f"Built the image of {made.bundle}", rows, [f"bundle run {made.bundle}", made.run])


def _panel_of_platforms(made: PlatformImages) -> None:
    from ...bundler.words import size_words

    rows: list[tuple[str, Any]] = [
        ("image", "  ".join(made.tags)),
        *(("pushed", f"{name}@{digest}" if digest else name) for name, digest in made.digests.items()),
        *(
            (image.platform, f"{image.tags[0]}  {size_words(image.size_bytes)}, on {image.base}")
            for image in made.images
        ),
        ("engine", made.engine_reason),
        ("took", f"{made.seconds:.1f} s"),
    ]
    console.panel(f"Built the images of {made.bundle}", rows, [f"bundle run {made.bundle}", made.run])


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--build-arg")
    return key, value


def _secret(text: str) -> Secret:
    """`id=netrc,src=/home/me/.netrc`, `id=token,env=TOKEN`; engines say less plainly what is wrong."""
    import os
    from pathlib import Path

    from ...bundler.engines.engine import Secret

    parts = dict(part.partition("=")[::2] for part in text.split(","))
    if set(parts) not in ({"id", "src"}, {"id", "env"}) or not all(parts.values()):
        raise click.BadParameter("use id=ID,src=FILE or id=ID,env=VARIABLE", param_hint="--secret")
    if "src" in parts:
        path = Path(parts["src"]).expanduser().absolute()
        if not path.is_file():
            raise click.BadParameter(f"there is no file {path}", param_hint="--secret")
        return Secret(parts["id"], f"src={path}")
    if parts["env"] not in os.environ:
        raise click.BadParameter(f"{parts['env']} is not set in the environment", param_hint="--secret")
    return Secret(parts["id"], f"env={parts['env']}")
