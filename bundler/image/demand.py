"""What the locked packages want of CUDA.

A wheel brings the libraries (as requirements named `nvidia-…`), has them linked in, or loads those of the
system; the tables tell which. The lock's own `nvidia-cuda-runtime…` has the last word over them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from .cuda_table import NeedRow, WheelRow, major, minor, need, numbers, read_wheels, wheel

CARRIED, LINKED, SYSTEM, CPU, ROCM = "carried", "linked", "system", "cpu", "rocm"
_RUNTIME = re.compile(r"nvidia-cuda-runtime(?:-cu\d+)?|cuda-toolkit")
_CUDNN = re.compile(r"nvidia-cudnn(?:-cu\d+)?")
_BUILDS = ("torch", "jaxlib")
"""Packages whose local version names what they were built for."""
_LOCAL_CUDA = re.compile(r"cu(\d+)(\d)")
_LOCAL_SYSTEM = re.compile(r"cuda(\d+)(?:\.cudnn(\d)\d*)?")
_LOCAL_ROCM = re.compile(r"rocm(\d+\.\d+)(?:\.\d+)?")


class Fact(msgspec.Struct, kw_only=True, frozen=True):
    """What is known of one package."""

    package: str
    version: str
    kind: str
    """`carried`: its requirements bring CUDA; `linked`: it has it inside; `system`: it loads that of the
    system; `cpu`: this build uses no GPU; `rocm`."""
    cuda: str = ""
    """`12.5`, or `12` where any release of it will do; of ROCm: `6.4`."""
    cudnn: int = 0
    """Major version; 0: none."""
    extra: str = ""
    """Extra that would bring the libraries."""

    @property
    def words(self) -> str:
        return f"{self.package} {self.version}"


class Demand(msgspec.Struct, kw_only=True, frozen=True):
    """Of all packages together."""

    carried: str = ""
    """Newest release that wheels bring themselves: `12.4`."""
    carrier: str = ""
    """Who brings it: `torch 2.6.0`."""
    linked: Fact | None = None
    """The newest."""
    system: list[Fact] = []
    """Those whose libraries are not in the lock either."""
    cpu_only: list[Fact] = []
    rocm: str = ""

    @property
    def any(self) -> bool:
        return bool(self.carried or self.linked or self.system)

    @property
    def newest(self) -> str:
        """Newest release of them all: what the driver has to run."""
        linked = [self.linked] if self.linked else []
        found = [self.carried, *(fact.cuda for fact in [*linked, *self.system])]
        return max(filter(None, found), key=numbers, default="")


def demand(packages: Mapping[str, str], arch: str) -> Demand:
    """Reads the lock.

    One that was made for the other architecture names a runtime that no wheel here is built for; it does not
    count.

    Args:
        packages: canonical name to version of the lock, with local parts.
        arch: `amd64` or `arm64`: the target's.
    """
    facts = [
        fact for name, version in sorted(packages.items()) if (fact := _fact(name, version, arch)) is not None
    ]
    carriers, system, cpu = _of(CARRIED, facts), _of(SYSTEM, facts), _of(CPU, facts)
    elsewhere = not [*carriers, *system] and any("+" not in fact.version for fact in cpu)
    locked = [
        minor(version) for name, version in packages.items() if _RUNTIME.fullmatch(name) and not elsewhere
    ]
    carried = max([*locked, *(fact.cuda for fact in carriers)], key=numbers, default="")
    cudnn = max([major(text) for name, text in packages.items() if _CUDNN.fullmatch(name)], default=0)
    cudnn = max([cudnn, *(fact.cudnn for fact in carriers)])
    return Demand(
        carried=carried,
        carrier=_carrier(carried, [*carriers, *system]),
        linked=max(_of(LINKED, facts), key=lambda fact: numbers(fact.cuda), default=None),
        system=[fact for fact in system if not _satisfied(fact, carried, cudnn)],
        cpu_only=cpu,
        rocm=max((fact.cuda for fact in _of(ROCM, facts)), key=numbers, default=""),
    )


def _of(kind: str, facts: Sequence[Fact]) -> list[Fact]:
    return [fact for fact in facts if fact.kind == kind]


def _satisfied(fact: Fact, carried: str, cudnn: int) -> bool:
    """Whether wheels of the lock bring what this one loads."""
    return bool(carried) and major(carried) == major(fact.cuda) and fact.cudnn in {0, cudnn}


def _carrier(carried: str, candidates: Sequence[Fact]) -> str:
    if not carried:
        return ""
    fitting = [fact.words for fact in candidates if major(fact.cuda) == major(carried)]
    return fitting[0] if fitting else "the lock"


def _fact(name: str, version: str, arch: str) -> Fact | None:
    """None: nothing is known."""
    local = version.partition("+")[2]
    if local and name in _BUILDS:
        return _local(name, version, local)
    row, rule = wheel(name, version), need(name, version)
    if rule is not None:
        return _ruled(rule, version, arch, row.extra if row is not None else "")
    return None if row is None else _listed(row, version, arch)


def _local(name: str, version: str, local: str) -> Fact | None:
    """`2.6.0+cu124`, `0.4.20+cuda12.cudnn89`, `2.6.0+rocm6.2.4`, `2.6.0+cpu`."""
    if local == CPU:
        return Fact(package=name, version=version, kind=CPU)
    if match := _LOCAL_CUDA.fullmatch(local):
        return Fact(package=name, version=version, kind=CARRIED, cuda=f"{match[1]}.{match[2]}")
    if match := _LOCAL_SYSTEM.fullmatch(local):
        cudnn = int(match[2] or 0)
        return Fact(package=name, version=version, kind=SYSTEM, cuda=match[1], cudnn=cudnn)
    if match := _LOCAL_ROCM.fullmatch(local):
        return Fact(package=name, version=version, kind=ROCM, cuda=match[1])
    return None


def _ruled(rule: NeedRow, version: str, arch: str, extra: str) -> Fact:
    if arch not in rule.platforms:
        return Fact(package=rule.package, version=version, kind=CPU)
    kind = LINKED if rule.linked else SYSTEM
    return Fact(
        package=rule.package, version=version, kind=kind, cuda=rule.cuda, cudnn=rule.cudnn, extra=extra
    )


def _listed(row: WheelRow, version: str, arch: str) -> Fact | None:
    here = _release(row, arch)
    if not here:
        return Fact(package=row.package, version=version, kind=CPU) if _release(row, "amd64") else None
    kind = LINKED if row.linked else SYSTEM if row.extra else CARRIED
    return Fact(package=row.package, version=version, kind=kind, cuda=here, cudnn=row.cudnn, extra=row.extra)


def _release(row: WheelRow, arch: str) -> str:
    return row.amd64 if arch == "amd64" else row.arm64


def versions_with(package: str, cuda_major: int, arch: str) -> list[str]:
    """Versions on PyPI whose wheels are for this major release of CUDA there, oldest first."""
    rows = [row for row in read_wheels() if row.package == package and _release(row, arch)]
    return [row.version for row in rows if major(_release(row, arch)) == cuda_major]


def first_with_gpu(package: str, after: str, arch: str) -> str:
    """The oldest version from `after` on whose wheels use a GPU there; empty when there is none."""
    for row in read_wheels():
        if row.package == package and _release(row, arch) and numbers(row.version) >= numbers(after):
            return row.version
    return ""
