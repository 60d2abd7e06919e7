"""Which `nvidia/cuda` image: never a tag that is not in the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from ...errors import ConfigError
from .cuda_table import ImageRow, images, known_releases, major, minor, numbers

REPOSITORY = "nvidia/cuda"
BASE, RUNTIME, CUDNN_RUNTIME = "base", "runtime", "cudnn-runtime"
_DISTROS = ("ubuntu24.04", "ubuntu22.04", "ubuntu20.04")
"""Without a wish: the newest that a release has."""


class Ask(msgspec.Struct, kw_only=True, frozen=True):
    """What an image has to have."""

    cuda: str
    """`12`: any release of it; `12.8`; `12.8.1`."""
    exact: bool = False
    """A person named the release; else a newer one of the same major version will do."""
    newest: bool = False
    """Of those that will do, the newest and not the nearest."""
    flavor: str = BASE
    cudnn: int = 0
    """Major version, for the flavor `cudnn-runtime`; 0: any."""
    distro: str = ""
    arch: str = "amd64"


class Tag(msgspec.Struct, kw_only=True, frozen=True):
    """One that exists."""

    image: str
    """`nvidia/cuda:12.8.2-base-ubuntu24.04`"""
    release: str
    distro: str
    supported: bool
    platforms: list[str]


def choose(ask: Ask) -> Tag:
    """
    Raises:
        ConfigError: there is no such image; names the nearest.
    """
    rows = _released(ask)
    rows = _kept(rows, _runs_on(ask.arch), f"for linux/{ask.arch}", ask, _releases(_runs_on(ask.arch)))
    rows = _kept(
        rows,
        lambda row: _distro(row, ask) != "",
        f"on {ask.distro}",
        ask,
        [d for row in rows for d in row.distros],
    )
    what = f"with cuDNN {ask.cudnn}" if ask.flavor == CUDNN_RUNTIME else f"with `{ask.flavor}`"
    rows = _kept(
        rows, lambda row: _flavor(row, ask) != "", what, ask, _releases(lambda row: _flavor(row, ask) != "")
    )
    row = _best(rows, ask)
    distro = _distro(row, ask)
    return Tag(
        image=f"{REPOSITORY}:{row.release}-{_flavor(row, ask)}-{distro}",
        release=row.release,
        distro=distro,
        supported=row.supported,
        platforms=[f"linux/{arch}" for arch in row.platforms],
    )


def every_tag() -> list[str]:
    """All of the table, `nvidia/cuda:…`."""
    return [
        f"{REPOSITORY}:{row.release}-{flavor}-{distro}"
        for row in images().cuda
        for flavor in row.flavors
        for distro in row.distros
    ]


def _released(ask: Ask) -> list[ImageRow]:
    """Rows of the releases that would do."""
    parts = len(numbers(ask.cuda))
    rows = images().cuda
    if ask.exact:
        found = [row for row in rows if numbers(row.release)[:parts] == numbers(ask.cuda)]
        if not found:
            raise ConfigError(f"there is no image {REPOSITORY} with CUDA {ask.cuda}{_nearest(ask.cuda)}")
        return found
    family = [row for row in rows if row.supported and major(row.release) == major(ask.cuda)]
    newer = [row for row in family if numbers(row.release)[:parts] >= numbers(ask.cuda)]
    if newer or (ask.flavor == BASE and family):
        return newer or family  # what is newer than every image runs on the newest: the wheels bring the rest
    raise ConfigError(f"no image {REPOSITORY} has CUDA {ask.cuda} or newer{_nearest(ask.cuda)}")


def _kept(
    rows: list[ImageRow], fits: Callable[[ImageRow], bool], what: str, ask: Ask, offers: Iterable[str]
) -> list[ImageRow]:
    kept = [row for row in rows if fits(row)]
    if kept:
        return kept
    raise ConfigError(
        f"there is no image {REPOSITORY} with CUDA {ask.cuda} {what}; there is: {_listed(offers)}"
    )


def _runs_on(arch: str) -> Callable[[ImageRow], bool]:
    return lambda row: arch in row.platforms


def _releases(fits: Callable[[ImageRow], bool]) -> list[str]:
    return [minor(row.release) for row in images().cuda if row.supported and fits(row)]


def _distro(row: ImageRow, ask: Ask) -> str:
    if ask.distro:
        return ask.distro if ask.distro in row.distros else ""
    return next((distro for distro in _DISTROS if distro in row.distros), "")


def _flavor(row: ImageRow, ask: Ask) -> str:
    """As it is written in the row's tags; empty when it has none."""
    if ask.flavor != CUDNN_RUNTIME:
        return ask.flavor if ask.flavor in row.flavors else ""
    if ask.cudnn not in {0, row.cudnn}:
        return ""
    return next((text for text in row.flavors if text.startswith("cudnn") and text.endswith("-runtime")), "")


def _best(rows: Iterable[ImageRow], ask: Ask) -> ImageRow:
    """The nearest that is new enough where only newer ones fit, else the newest; of equal ones the first of
    the table."""

    def rank(row: ImageRow) -> tuple[tuple[int, ...], tuple[int, ...]]:
        at = numbers(row.release)
        near = not ask.exact and not ask.newest and "." in ask.cuda and at[:2] >= numbers(ask.cuda)[:2]
        return (at[:2] if near else ()), tuple(-number for number in at)

    return min(rows, key=rank)


def _nearest(cuda: str) -> str:
    known = known_releases()
    older = [release for release in known if numbers(release) < numbers(cuda)[:2]]
    newer = [release for release in known if numbers(release) > numbers(cuda)[:2]]
    same = [row.release for row in images().cuda if minor(row.release) == minor(cuda) and row.release != cuda]
    offers = same or [*older[-1:], *newer[:1]]
    return f"; the nearest: {_listed(offers)}"


def _listed(offers: Iterable[str]) -> str:
    ordered = sorted(set(offers), key=lambda text: (numbers(text), text))
    return ", ".join(ordered) if ordered else "none"
