"""Key `image:` of the bundlefile: what the container image of a bundle is like.

Every value lands in a Dockerfile, so the grammars here are narrow: nothing that passes can begin an
instruction, end a quoted word or run in a shell. `bundle.yaml` keeps the options of a bundle, and they are
checked again when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from ...errors import ConfigError
from .options import nearest

# https://github.com/distribution/reference: registry[:port]/path[:tag][@algorithm:digest].
_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_MAX_REFERENCE = 512
_CUDA = re.compile(r"auto|none|[1-9][0-9]?\.[0-9]{1,2}(?:\.[0-9]{1,2})?")
_DISTRO = re.compile(r"[a-z]{2,16}[0-9]{1,2}(?:\.[0-9]{2})?|[a-z]{4,16}")
# Names of apt, dnf and apk, with `=version` (apt, apk) or `:arch`. A leading `-` would be an option.
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*(?::[a-z0-9]+)?(?:=[A-Za-z0-9.+:~_-]+)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = ("PATH", "HOME", "VIRTUAL_ENV", "TIFFIN_BUNDLE", "TIFFIN_HOME", "LD_PRELOAD", "SOURCE_DATE_EPOCH")
_SECRET = re.compile(r"(?:^|_)(?:TOKEN|SECRETS?|PASSWORD|PASSWD|CREDENTIALS?|(?:API|ACCESS|PRIVATE)_?KEY)$")
_MAX_VALUE = 4096
MAX_USER = 2_147_483_647
"""Largest numeric user."""


class ImageOptions(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Key `image:`. A value that is out of range raises ValueError, which names all of them."""

    base: str = ""
    """The image to build on, by name or digest; empty: the one that fits Python, packages and `cuda`."""
    cuda: str = ""
    """`none`; `auto` or empty: what the locked packages need; or the toolkit's version, `12.8`."""
    accelerator: Literal["", "rocm", "neuron"] = ""
    """Hardware that is neither a CPU nor NVIDIA's."""
    distro: str = ""
    """Distribution of the base, `ubuntu22.04`; empty: the default of the kind of base."""
    system_packages: list[str] = []
    """Packages of the distribution, `libgl1` or `libgl1=1.6.0-1`."""
    env: dict[str, str] = {}
    """Environment variables of the container; one line of text each. Never secrets: they are readable."""
    dockerfile_template: str = ""
    """A Jinja2 file of the project that extends `Dockerfile.j2`; relative to the project folder."""
    user: int = 10001
    """Numeric user who runs the server, from 0 to 2147483647; the group is 0."""

    def __post_init__(self) -> None:
        if problems := list(_problems(self)):
            raise ValueError("; ".join(problems))


def changed(options: ImageOptions, **changes: Any) -> ImageOptions:
    """The options with some fields replaced.

    Raises:
        ConfigError: an option that does not exist, or a value that is out of range.
    """
    for name in changes:
        if name not in ImageOptions.__struct_fields__:
            known = ImageOptions.__struct_fields__
            raise ConfigError(
                f"image: unknown option {name}{nearest(name, known)} (options: {', '.join(known)})"
            )
    try:
        return msgspec.convert({**msgspec.structs.asdict(options), **changes}, ImageOptions)
    except msgspec.ValidationError as error:
        raise ConfigError(f"image: {error}") from error


def is_reference(text: str) -> bool:
    """Whether an engine would take it for an image: `registry.example.com/iris:1`, `name@sha256:…`."""
    return len(text) <= _MAX_REFERENCE and _REFERENCE.fullmatch(text) is not None


def _problems(options: ImageOptions) -> Iterator[str]:
    yield from _base_problems(options)
    for package in options.system_packages:
        if not _PACKAGE.fullmatch(package):
            yield f"system_packages: {package!r} is no package's name, such as `libgl1` or `curl=8.5.0-2`"
    for name, value in options.env.items():
        yield from _variable_problems(name, value)
    template = PurePosixPath(options.dockerfile_template)
    if template.is_absolute() or ".." in template.parts or "\0" in str(template):
        yield f"dockerfile_template: {str(template)!r} must lie in the project folder, `docker/Dockerfile.j2`"
    if isinstance(options.user, bool) or not 0 <= options.user <= MAX_USER:
        yield f"user: {options.user!r} is out of range; use a whole number from 0 to {MAX_USER}"


def _base_problems(options: ImageOptions) -> Iterator[str]:
    base = options.base
    if base and not is_reference(base):
        yield f"base: {base!r} is not the name of an image, such as `python:3.11-slim` or `name@sha256:…`"
    if options.cuda and not _CUDA.fullmatch(options.cuda):
        yield f"cuda: {options.cuda!r} is not known; use `auto`, `none` or a version such as `12.8`"
    if options.distro and not _DISTRO.fullmatch(options.distro):
        yield f"distro: {options.distro!r} is not the name of a distribution, such as `ubuntu22.04`"
    if base and (options.accelerator or options.distro):
        other = "accelerator" if options.accelerator else "distro"
        yield f"base and {other} exclude each other: a base of your own is taken as it is"
    if options.accelerator and options.cuda not in {"", "none"}:
        yield f"accelerator: {options.accelerator!r} does not go with cuda: {options.cuda!r}; keep one"


def _variable_problems(name: str, value: str) -> Iterator[str]:
    if not _VARIABLE.fullmatch(name):
        yield f"env: {name!r} is not the name of a variable; use letters, digits and _"
    elif name.upper() in _RESERVED:
        yield f"env: {name} is set by the image itself"
    elif _SECRET.search(name.upper()):
        yield f"env: {name} looks like a secret, which anybody could read there: give it to the container"
    if len(value) > _MAX_VALUE or not (value == "" or value.isprintable()):
        yield f"env: the value of {name!r} must be one line of at most {_MAX_VALUE} printable characters"
