"""What is known of CUDA images and wheels: the tables in `data/`, and how to ask them.

`make_tags.py` keeps the rows of `nvidia/cuda` in `images.json`, whose others are kept by hand, and
`make_table.py` writes `wheels.json`; docs/13-cuda.md says how to add a row to either. Releases are text,
`12.8`; `numbers` makes them comparable.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

import msgspec

_DATA = files(__package__) / "data"
WHEELS = _DATA / "wheels.json"
IMAGES = _DATA / "images.json"


class _Row(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class WheelRow(_Row, kw_only=True, frozen=True):
    """One released version of a package on PyPI."""

    package: str
    version: str
    wheels: list[str]
    """Architectures that it has a wheel for: `amd64`, `arm64`."""
    amd64: str = ""
    """Oldest CUDA release that its requirements allow there; empty: they name none."""
    arm64: str = ""
    cudnn: int = 0
    """Major version; 0: not needed, or not told."""
    linked: bool = False
    """CUDA is linked into the wheel; the release is the one that the NCCL it requires is named for."""
    extra: str = ""
    """Extra that brings the libraries; empty: the package requires them itself, or has none to bring."""


class NeedRow(_Row, kw_only=True, frozen=True):
    """What the wheels of a package want of the system, where their requirements do not tell."""

    package: str
    since: str
    before: str
    """First version that this is not true of any more; empty: true of all newer ones."""
    cuda: str
    """`11.8`, or only the major version, `12`, where any release of it will do."""
    cudnn: int = 0
    linked: bool = False
    """CUDA is inside of the wheel: only a driver is needed."""
    platforms: list[str]
    """Architectures whose wheels use a GPU."""
    source: str


class ImageRow(_Row, kw_only=True, frozen=True):
    """Tags of `nvidia/cuda` with one release, `<release>-<flavor>-<distro>`."""

    release: str
    """`12.8.1`"""
    distros: list[str]
    flavors: list[str]
    """`base`, `runtime`, `devel`, `cudnn8-runtime` …, as they are written in the tag."""
    cudnn: int = 0
    """Major version in the flavors with `cudnn`."""
    platforms: list[str]
    supported: bool
    """NVIDIA mends it. The others may be deleted, and are used only when they are asked for by name."""
    source: str


class DriverRow(_Row, kw_only=True, frozen=True):
    """A release of the toolkit and its driver for Linux."""

    cuda: str
    driver: str
    """The one that was released with it, which can do all that it can."""
    source: str


class FamilyRow(_Row, kw_only=True, frozen=True):
    """A major release; its minor ones run on one driver, with NVIDIA's minor version compatibility."""

    major: int
    driver: str
    """The oldest that runs any release of the family."""
    forward: list[int] = []
    """Older branches that run it too, on data centre GPUs, with the compatibility libraries of the image."""
    source: str


class PythonRow(_Row, kw_only=True, frozen=True):
    version: str
    """`3.11`"""
    image: str
    platforms: list[str]
    source: str


class PlainRow(_Row, kw_only=True, frozen=True):
    """A base without any accelerator's libraries, for those who name a distribution."""

    distro: str
    image: str
    """`{python}` stands for `3.11`, where the image has Python."""
    packages: str
    source: str


class AcceleratorRow(_Row, kw_only=True, frozen=True):
    """A base for hardware that is neither a CPU nor NVIDIA's."""

    kind: str
    """`rocm`, `neuron`"""
    image: str
    release: str
    """ROCm's version, or that of the PyTorch which the Neuron image is for."""
    distro: str
    platforms: list[str]
    source: str


class Images(_Row, kw_only=True, frozen=True):
    sources: dict[str, str]
    """Short name to where the fact was read."""
    cuda: list[ImageRow]
    drivers: list[DriverRow]
    families: list[FamilyRow]
    needs: list[NeedRow]
    python: list[PythonRow]
    plain: list[PlainRow]
    accelerators: list[AcceleratorRow]


@lru_cache(maxsize=1)
def images() -> Images:
    return msgspec.json.decode(IMAGES.read_bytes(), type=Images)


@lru_cache(maxsize=1)
def read_wheels() -> list[WheelRow]:
    return msgspec.json.decode(WHEELS.read_bytes(), type=list[WheelRow])


def numbers(version: str) -> tuple[int, ...]:
    """`12.8.1` → `(12, 8, 1)`; what follows a `+` does not count."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def minor(release: str) -> str:
    """`12.8.1` → `12.8`"""
    return ".".join(release.split(".")[:2])


def major(release: str) -> int:
    return numbers(release)[0]


def wheel(package: str, version: str) -> WheelRow | None:
    """The row of a version; its local part (`+cu124`) does not count."""
    public = version.partition("+")[0]
    return next((row for row in read_wheels() if (row.package, row.version) == (package, public)), None)


def need(package: str, version: str) -> NeedRow | None:
    """The row that a version falls into."""
    at = numbers(version)
    for row in images().needs:
        if (
            row.package == package
            and numbers(row.since) <= at
            and (not row.before or at < numbers(row.before))
        ):
            return row
    return None


def oldest_driver(cuda: str) -> str:
    """The oldest driver that runs this release, `525.60.13`; empty when its family is not known."""
    return next((row.driver for row in images().families if row.major == major(cuda)), "")


def own_driver(cuda: str) -> str:
    """The driver that came with this release, `570.26`; empty when it is not known."""
    return next((row.driver for row in images().drivers if row.cuda == minor(cuda)), "")


def known_releases() -> list[str]:
    """`11.8`, `12.0`, …: every minor release with an image, oldest first."""
    return sorted({minor(row.release) for row in images().cuda}, key=numbers)
