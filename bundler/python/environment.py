"""The environment that packages are chosen for: Linux, a processor, a version of Python."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from platform import machine as this_machine

import msgspec

from ...errors import BuildError, ConfigError

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
OLDEST, NEWEST = (3, 10), (3, 13)
"""Versions of Python that tiffin is tested with."""
_PYTHON = re.compile(r"3\.[0-9]{1,2}")


class Environment(msgspec.Struct, frozen=True):
    """Where the bundle will be installed; not the host."""

    python: str
    """`3.12`"""
    machine: str
    """`x86_64`, `aarch64`, as `platform.machine()` says."""

    @property
    def markers(self) -> dict[str, str]:
        """For `packaging.markers`: https://packaging.python.org/en/latest/specifications/dependency-specifiers/."""
        full = f"{self.python}.0"
        if self.python == this_python():
            full = ".".join(map(str, sys.version_info[:3]))
        return {
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full,
            "python_version": self.python,
            "sys_platform": "linux",
        }

    def holds(self, marker: str, *, extra: str = "", chosen: Mapping[str, set[str]] | None = None) -> bool:
        """Whether a marker is true there.

        Args:
            marker: empty: always.
            extra: the one that asks.
            chosen: `extras` and `dependency_groups` of a pylock.toml.

        Raises:
            BuildError: it is no marker.
        """
        if not marker:
            return True
        from packaging.markers import EvaluateContext, InvalidMarker, Marker, UndefinedEnvironmentName

        context: EvaluateContext = "lock_file" if chosen else "metadata"
        try:
            return Marker(marker).evaluate(
                {**self.markers, "extra": extra, **(chosen or {})}, context=context
            )
        except (InvalidMarker, UndefinedEnvironmentName) as error:
            raise BuildError(f"marker {marker!r} is not understood: {error}") from error

    def check_python(self, specifier: str, where: str) -> None:
        """
        Raises:
            BuildError: the file is not for that Python.
        """
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            fits = SpecifierSet(specifier).contains(self.markers["python_full_version"], prereleases=True)
        except InvalidSpecifier:
            return
        if not fits:
            raise BuildError(
                f"{where} is for Python {specifier} and the bundle is for {self.python}: "
                "say --python, or python: {version: …} in bundlefile.yaml"
            )


def environment(python: str = "", platform: str = "") -> Environment:
    """
    Args:
        python: `3.12`; empty: this one's.
        platform: `linux/arm64`; empty: that of this machine.

    Raises:
        ConfigError: no version of Python that tiffin runs on, or no platform that images are made for.
    """
    if python and not _PYTHON.fullmatch(python):
        raise ConfigError(f"python version {python!r}: use two numbers, such as {this_python()}")
    if python and int(python.partition(".")[2]) < OLDEST[1]:
        raise ConfigError(f"python version {python!r}: tiffin runs on 3.{OLDEST[1]} and newer")
    return Environment(python or this_python(), machine_of(platform) if platform else host_machine())


def this_python() -> str:
    """`3.11`"""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def machine_of(platform: str) -> str:
    """`aarch64` of `linux/arm64`.

    Raises:
        ConfigError: no platform that images are made for.
    """
    system, _, machine = platform.partition("/")
    if system != "linux" or machine not in _MACHINES:
        raise ConfigError(f"platform {platform!r}: use linux/amd64 or linux/arm64")
    return _MACHINES[machine]


def this_platform() -> str:
    """`linux/amd64`: of the lock that every bundle has."""
    machine = host_machine()
    return f"linux/{next((name for name, other in _MACHINES.items() if other == machine), machine)}"


def host_machine() -> str:
    """`x86_64`"""
    machine = this_machine().lower()
    return _MACHINES.get(machine, machine)
