"""From the lock and key `image:` to the image that is built on.

The rule: the smallest base that can do what the service asks for. What the tables do not know is not guessed:
such asks are refused with the nearest that can, or, where nothing tells that they cannot work, taken as they
are. docs/13-cuda.md tells it at length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from ...errors import ConfigError
from ...runtime.service.image_options import ImageOptions
from .accelerators import accelerator_base
from .base import Base
from .cuda_bases import DRIVER_ENV, RUN_OPTIONS, cuda_base
from .cuda_table import PythonRow, images
from .demand import Demand, demand, first_with_gpu
from .own_base import own_base

_PLATFORM = re.compile(r"linux/(amd64|arm64)(?:/v8)?")
_CPU_BUILDS = {
    "jaxlib": "jax[cuda12]",
    "tensorflow-cpu": "tensorflow[and-cuda]",
    "onnxruntime": "onnxruntime-gpu",
    "faiss-cpu": "faiss-gpu-cu12",
}
"""Packages that are there for the CPU only, and who is for both."""

_IDLE_ROCM = (
    "image.accelerator is rocm and no runner asks for a GPU: all of them run on the CPU, in an image with "
    "gigabytes of ROCm; say tiffin.runner(…, gpus=1), or leave image.accelerator out"
)


def resolve_base(
    options: ImageOptions,
    *,
    python: str,
    packages: Mapping[str, str],
    platform: str = "linux/amd64",
    gpus: float = 0,
) -> Base:
    """
    Args:
        options: key `image:`.
        python: `3.11`, the version that the bundle was locked for.
        packages: canonical name to version of every locked package, with local parts (`2.6.0+cpu`); an empty
            version is one that is not known.
        platform: what the image is for, which need not be this machine: `linux/amd64` or `linux/arm64`.
        gpus: devices that the runners ask for, all together; 0: none.

    Raises:
        ConfigError: something that cannot work; the message names the nearest that can.
    """
    arch = _arch(platform)
    row = _python(python)
    known = {name: version for name, version in packages.items() if version}
    wanted = demand(known, arch)
    if options.base:
        return own_base(options.base, python=python, packages=known, wanted=wanted, gpus=gpus)
    if options.accelerator:
        found = accelerator_base(options, python=python, packages=known, wanted=wanted, arch=arch)
        return found if gpus or found.kind != "rocm" else msgspec.structs.replace(found, advice=_IDLE_ROCM)
    if options.cuda == "none" and gpus:
        raise ConfigError(
            f"image.cuda is none and the runners ask for GPUs ({gpus:g}): remove one of the two"
        )
    if options.cuda not in {"", "auto", "none"}:
        if not wanted.any:
            _refuse_cpu_only(f"image.cuda is {options.cuda}", "image.cuda", wanted, arch)
        return cuda_base(options, python=python, packages=known, wanted=wanted, arch=arch, gpus=gpus)
    if not gpus:
        return _plain(options, row, _without_gpus(options, wanted), _advice(wanted))
    if wanted.any:
        return cuda_base(options, python=python, packages=known, wanted=wanted, arch=arch, gpus=gpus)
    if wanted.rocm:
        raise ConfigError(
            f"the runners ask for GPUs and torch is built for ROCm {wanted.rocm}: say image.accelerator: rocm"
        )
    _refuse_cpu_builds(known, wanted, arch)
    found = _plain(
        options, row, "the runners ask for GPUs, and no locked package is known to need CUDA of the image", ""
    )
    return msgspec.structs.replace(found, env=dict(DRIVER_ENV), run_options=RUN_OPTIONS)


def _plain(options: ImageOptions, row: PythonRow, reason: str, advice: str) -> Base:
    """A base without libraries of any accelerator."""
    image, packages, own_python = row.image, "apt", True
    if options.distro:
        known = {plain.distro: plain for plain in images().plain}
        if options.distro not in known:
            raise ConfigError(
                f"image.distro: there is no base {options.distro} for a service without GPUs; "
                f"there is: {', '.join(sorted(known))}; or name an image yourself with image.base"
            )
        plain = known[options.distro]
        image, packages = plain.image.format(python=row.version), plain.packages
        own_python = "{python}" in plain.image
    return Base(
        image=image,
        builder=image,
        python="image" if own_python else "uv",
        python_version=row.version,
        kind="cpu",
        packages=packages,
        platforms=[f"linux/{arch}" for arch in row.platforms],
        reason=f"{image}: {reason}",
        advice=advice,
    )


def _without_gpus(options: ImageOptions, wanted: Demand) -> str:
    if options.cuda == "none":
        return "image.cuda is none"
    if wanted.any:
        return "no runner asks for a GPU, so nothing of CUDA is added to what the wheels bring"
    return "no runner asks for a GPU and no locked package needs CUDA"


def _advice(wanted: Demand) -> str:
    """What makes an image of a CPU service gigabytes smaller."""
    if not wanted.carried:
        return ""
    text = f"{wanted.carrier} brings CUDA {wanted.carried}: gigabytes that nobody uses without a GPU"
    if wanted.carrier.startswith("torch "):
        version = wanted.carrier.partition(" ")[2].partition("+")[0]
        return (
            f"{text}; requirements.txt with `--extra-index-url https://download.pytorch.org/whl/cpu` and "
            f"`torch=={version}+cpu` leaves them out"
        )
    return f"{text}; a lock without leaves them out"


def _refuse_cpu_builds(packages: Mapping[str, str], wanted: Demand, arch: str) -> None:
    """GPUs are asked for, and all that could use one was built for the CPU."""
    for name, other in _CPU_BUILDS.items():
        if name in packages:
            raise ConfigError(
                f"the runners ask for GPUs, and {name} {packages[name]} is for CPUs only: require {other}, "
                "or remove gpus="
            )
    _refuse_cpu_only("the runners ask for GPUs", "gpus=", wanted, arch)


def _refuse_cpu_only(ask: str, remove: str, wanted: Demand, arch: str) -> None:
    for fact in wanted.cpu_only:
        raise ConfigError(
            f"{ask}, and {fact.words} for linux/{arch} is built for CPUs only: "
            f"{_nearest_gpu_build(fact.package, fact.version, arch)}, or remove {remove}"
        )


def _nearest_gpu_build(name: str, version: str, arch: str) -> str:
    public, _, local = version.partition("+")
    if local == "cpu":
        return f"require {name}=={public} from PyPI"
    newer = first_with_gpu(name, version, arch)
    if newer:
        return f"the next with a GPU there is {name} {newer}"
    return "build for --platform linux/amd64"


def _arch(platform: str) -> str:
    found = _PLATFORM.fullmatch(platform)
    if found is None:
        raise ConfigError(f"images are made for linux/amd64 and linux/arm64, not for {platform!r}")
    return found[1]


def _python(version: str) -> PythonRow:
    rows = images().python
    for row in rows:
        if row.version == version:
            return row
    raise ConfigError(
        f"there is no image with Python {version}; there is {rows[0].version} to {rows[-1].version}: "
        "build the bundle with one of these"
    )
