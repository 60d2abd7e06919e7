"""A base for services that use NVIDIA's GPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ...errors import ConfigError
from ...runtime.service.image_options import ImageOptions
from .base import Base
from .cuda_table import images, major, minor, numbers, oldest_driver, own_driver
from .cuda_tags import BASE, CUDNN_RUNTIME, RUNTIME, Ask, Tag, choose
from .demand import Demand, Fact, versions_with
from .venv_libraries import library_folders

RUN_OPTIONS = ["--gpus", "all"]
DRIVER_ENV = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
"""Has the container toolkit of the host put the driver's libraries into the container."""
_DRIVER_FOLDERS = "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"
"""Where NVIDIA's images look for the driver's libraries."""


def cuda_base(
    options: ImageOptions, *, python: str, packages: Mapping[str, str], wanted: Demand, arch: str, gpus: float
) -> Base:
    """The smallest of `base`, `runtime` and `cudnn-runtime` that the packages can live with.

    Raises:
        ConfigError: the packages need different releases, or the one that `image.cuda` names cannot run them.
    """
    asked = options.cuda if options.cuda not in {"", "auto"} else ""
    want = _one(wanted.system)
    if asked:
        _check(asked, wanted, want, arch)
    tag = _chosen(_ask(asked, wanted, want, options.distro, arch), want)
    release = max(wanted.newest, tag.release if want or not wanted.any else "", key=numbers)
    cuda = minor(release)
    wheels_only = bool(wanted.carried) and want is None
    return Base(
        image=tag.image,
        builder=tag.image,
        python="uv",
        python_version=python,
        kind="cuda",
        cuda=cuda,
        driver=oldest_driver(cuda),
        packages="apt" if tag.distro.startswith("ubuntu") else "dnf",
        env=cuda_env(cuda, library_folders(packages, python) if wheels_only else None),
        platforms=tag.platforms,
        run_options=RUN_OPTIONS,
        reason=f"{tag.image}: {_reason(asked, tag, wanted, want, gpus)}",
        advice=_advice(tag, want),
    )


def cuda_env(cuda: str, folders: Sequence[str] | None = None) -> dict[str, str]:
    """Variables of the final stage.

    Args:
        cuda: release that the driver has to run, `12.4`.
        folders: where the loader finds the libraries that wheels bring; None: it uses those of the image.
    """
    env = {
        **DRIVER_ENV,
        "NVIDIA_REQUIRE_CUDA": _require(cuda),
        "TIFFIN_CUDA": cuda,
        "TIFFIN_CUDA_DRIVER": oldest_driver(cuda),
        "TIFFIN_CUDA_OWN_DRIVER": own_driver(cuda),
    }
    if folders is not None:
        # The image's own value names /usr/local/cuda/lib64, which would come before what the wheels bring.
        env["LD_LIBRARY_PATH"] = ":".join([_DRIVER_FOLDERS, *folders])
    return {name: value for name, value in env.items() if value}


def _chosen(ask: Ask, want: Fact | None) -> Tag:
    try:
        return choose(ask)
    except ConfigError as error:
        if want is None or not want.extra:
            raise
        raise ConfigError(
            f"{want.words} loads {_needs(want)} of the image, and {error}; require "
            f"{want.package}[{want.extra}], and the wheels bring CUDA themselves"
        ) from None


def _require(cuda: str) -> str:
    """The container toolkit refuses to start the image on older drivers. Its own value of NVIDIA's images
    leaves out drivers that minor version compatibility allows. A space is an or, a comma is an and."""
    family = next((row for row in images().families if row.major == major(cuda)), None)
    if family is None:
        return f"cuda>={cuda}"
    tesla = [f"brand=tesla,driver>={branch},driver<{branch + 1}" for branch in family.forward]
    return " ".join([f"driver>={major(family.driver)}", *tesla])


def _ask(asked: str, wanted: Demand, want: Fact | None, distro: str, arch: str) -> Ask:
    flavor = BASE if wanted.any else RUNTIME
    if want is not None:
        flavor = CUDNN_RUNTIME if want.cudnn else RUNTIME
    cuda = asked or (want.cuda if want is not None else wanted.newest)
    return Ask(
        cuda=cuda,
        exact=bool(asked),
        newest=want is not None,  # cuDNN refuses to be older than the one that a framework was built with
        flavor=flavor,
        cudnn=want.cudnn if want is not None else 0,
        distro=distro,
        arch=arch,
    )


def _one(system: list[Fact]) -> Fact | None:
    """What all of them can load: one major release, the newest of its minor ones, one cuDNN."""
    if not system:
        return None
    for other in system[1:]:
        first = system[0]
        differ = major(other.cuda) != major(first.cuda) or (
            other.cudnn and first.cudnn and other.cudnn != first.cudnn
        )
        if differ:
            raise ConfigError(
                f"{first.words} loads {_needs(first)} of the image and {other.words} {_needs(other)}: "
                "one image has one of them; lock versions that agree"
            )
    newest = max(system, key=lambda fact: numbers(fact.cuda))
    return msgspec.structs.replace(newest, cudnn=max(fact.cudnn for fact in system))


def _check(asked: str, wanted: Demand, want: Fact | None, arch: str) -> None:
    if want is not None and (major(asked) != major(want.cuda) or numbers(asked) < numbers(want.cuda)):
        raise ConfigError(
            f"image.cuda is {asked}, and {want.words} loads {_needs(want)} of the image: "
            f"say cuda: {want.cuda if '.' in want.cuda else 'auto'}{_other(want.package, asked, arch)}"
        )
    linked = (wanted.linked.cuda, wanted.linked.words) if wanted.linked else ("", "")
    for brings, who in ((wanted.carried, wanted.carrier), linked):
        if brings and major(asked) < major(brings):
            raise ConfigError(
                f"image.cuda is {asked}, and {who} brings CUDA {brings}, which a driver for "
                f"CUDA {major(asked)} cannot run: say cuda: {brings if '.' in brings else 'auto'}"
                f"{_other(who.partition(' ')[0], asked, arch)}"
            )


def _other(package: str, asked: str, arch: str) -> str:
    """The other way out: a version of the package for the release that was asked for."""
    fitting = versions_with(package, major(asked), arch)
    if fitting:
        return f", or lock {package} {fitting[-1]}, the newest on PyPI for CUDA {major(asked)}"
    return ""


def _needs(want: Fact) -> str:
    return f"CUDA {want.cuda}" + (f" with cuDNN {want.cudnn}" if want.cudnn else "")


def _reason(asked: str, tag: Tag, wanted: Demand, want: Fact | None, gpus: float) -> str:
    by = f"image.cuda asks for {asked}; " if asked else ""
    if want is not None:
        text = f"{want.words} loads {_needs(want)} of the image"
    elif wanted.carried:
        text = f"{wanted.carrier} brings CUDA {wanted.carried} itself, so the small image is enough"
    elif wanted.linked:
        linked = wanted.linked
        text = f"{linked.words} has CUDA {linked.cuda} linked in, so the small image is enough"
    else:
        text = "no locked package is known to bring CUDA, so the image brings its libraries"
    old = "" if tag.supported else "; NVIDIA no longer mends this release and may delete the tag"
    idle = "" if gpus else "; no runner asks for a GPU"
    return f"{by}{text}{idle}{old}"


def _advice(tag: Tag, want: Fact | None) -> str:
    if want is not None and want.extra:
        return (
            f"require {want.package}[{want.extra}] in place of {want.package}, and the wheels bring CUDA "
            "themselves: the base is gigabytes smaller"
        )
    if not tag.supported:
        return f"{tag.image} is no longer mended by NVIDIA; name the minor release only for one that is"
    return ""
