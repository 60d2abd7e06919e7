"""`image.base`: an image of the user's own, taken as it is."""

from __future__ import annotations

import re

from .base import Base
from .cuda_bases import DRIVER_ENV, RUN_OPTIONS, cuda_env
from .cuda_table import oldest_driver
from .demand import Demand
from .venv_libraries import library_folders

DETECT = "detect"
"""Nothing tells what installs packages: the Dockerfile asks when it is built."""
_PYTHON = re.compile(r"(?:docker\.io/)?(?:library/)?python:(\d+\.\d+)(?:[.-].*)?")
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_INSTALLERS = (
    ("apk", re.compile(r"(?:^|[/:-])(?:alpine|wolfi-base|wolfi|chainguard-base)")),
    ("microdnf", re.compile(r"ubi[0-9]+[/-](?:ubi-)?minimal|ubi-minimal")),
    (
        "dnf",
        re.compile(
            r"(?:^|[/:-])(?:ubi[0-9]|rockylinux|almalinux|fedora|oraclelinux|amazonlinux:2023|centos)"
        ),
    ),
    ("apt", re.compile(r"(?:^|[/:-])(?:debian|ubuntu|python:|bookworm|bullseye|trixie|slim)|ubuntu[0-9]")),
)


def own_base(image: str, *, python: str, packages: dict[str, str], wanted: Demand, gpus: float) -> Base:
    """
    Args:
        image: any name or digest.
        python: `3.11`
        packages: canonical name to version.
        wanted: what these packages want of CUDA.
        gpus: devices that the runners ask for.
    """
    name = _DIGEST.sub("", image)
    version = _PYTHON.fullmatch(name)
    own_python = version is not None and version[1] == python
    env: dict[str, str] = {}
    if gpus and wanted.any:
        wheels_only = bool(wanted.carried) and not wanted.system
        env = cuda_env(wanted.newest, library_folders(packages, python) if wheels_only else None)
    elif gpus:
        env = dict(DRIVER_ENV)
    brings = "has Python" if own_python else "gets a Python of its own"
    return Base(
        image=image,
        builder=image,
        python="image" if own_python else "uv",
        python_version=python,
        kind="custom",
        cuda=wanted.newest if gpus else "",
        driver=oldest_driver(wanted.newest) if gpus and wanted.any else "",
        packages=installer(name),
        env=env,
        run_options=RUN_OPTIONS if gpus else [],
        reason=f"{image}: image.base names it; it {brings} {python}",
    )


def installer(name: str) -> str:
    """`apt`, `dnf`, `microdnf` or `apk`, as far as a name tells; else `detect`."""
    return next((found for found, pattern in _INSTALLERS if pattern.search(name)), DETECT)
