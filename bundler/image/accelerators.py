"""Bases for AMD's GPUs and for AWS Inferentia and Trainium: rows of the same table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...errors import ConfigError
from ...runtime.service.image_options import ImageOptions
from .base import Base
from .cuda_table import AcceleratorRow, images, minor, numbers
from .demand import Demand

_RUN_OPTIONS = {
    "rocm": ["--device", "/dev/kfd", "--device", "/dev/dri", "--group-add", "video"],
    "neuron": ["--device", "/dev/neuron0"],
}
_NEURON_PACKAGES = ("torch-neuronx", "torch-neuron")
_NEURON_INDEX = "https://pip.repos.neuron.amazonaws.com"


def accelerator_base(
    options: ImageOptions, *, python: str, packages: Mapping[str, str], wanted: Demand, arch: str
) -> Base:
    """
    Raises:
        ConfigError: no row for that machine, distribution or release, or packages that cannot use it.
    """
    kind = options.accelerator
    release, why = _rocm(wanted) if kind == "rocm" else _neuron(packages)
    rows = [row for row in images().accelerators if row.kind == kind]
    rows = _kept(rows, lambda row: arch in row.platforms, f"{kind} for linux/{arch}", lambda _: "linux/amd64")
    if options.distro:
        what = f"{kind} on {options.distro}"
        rows = _kept(rows, lambda row: row.distro == options.distro, what, lambda row: row.distro)
    if release:
        what = f"{kind} {release}"
        rows = _kept(rows, lambda row: minor(row.release) == release, what, lambda row: minor(row.release))
    row = max(rows, key=lambda row: numbers(row.release))
    return Base(
        image=row.image,
        builder=row.image,
        python="uv",
        python_version=python,
        kind=kind,
        packages="apt",
        platforms=[f"linux/{machine}" for machine in row.platforms],
        run_options=_RUN_OPTIONS[kind],
        reason=f"{row.image}: {why}",
    )


def _rocm(wanted: Demand) -> tuple[str, str]:
    """The release of the lock, and a reason."""
    if wanted.rocm:
        return wanted.rocm, f"torch was built for ROCm {wanted.rocm}"
    if wanted.carried:
        raise ConfigError(
            f"image.accelerator is rocm, and {wanted.carrier} is built for CUDA {wanted.carried}: require "
            "the build of https://download.pytorch.org/whl/rocm6.4, such as torch==2.9.1+rocm6.4"
        )
    return "", "image.accelerator is rocm, and no locked package names a release of it"


def _neuron(packages: Mapping[str, str]) -> tuple[str, str]:
    for name in _NEURON_PACKAGES:
        if name in packages:
            return minor(packages[name]), f"the runtime and tools of AWS Neuron for {name} {packages[name]}"
    raise ConfigError(
        "image.accelerator is neuron, and no torch-neuronx is locked: require it, with "
        f"--extra-index-url {_NEURON_INDEX}"
    )


def _kept(
    rows: list[AcceleratorRow],
    fits: Callable[[AcceleratorRow], bool],
    what: str,
    offer: Callable[[AcceleratorRow], str],
) -> list[AcceleratorRow]:
    kept = [row for row in rows if fits(row)]
    if kept:
        return kept
    have = ", ".join(sorted({offer(row) for row in rows}, key=lambda text: (numbers(text), text)))
    raise ConfigError(f"there is no base for {what}; there is: {have}; or name an image with image.base")
