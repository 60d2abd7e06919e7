"""The interface of container engines, and what goes in and comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from ..bar import Progress


class Secret(NamedTuple):
    """Something that a build may read and that stays in no layer."""

    id: str
    """As the Dockerfile mounts it: `--mount=type=secret,id=…`."""
    source: str
    """`env=VARIABLE` or `src=path`; never the value itself."""


def _no_folder(_: Progress) -> AbstractContextManager[Path | None]:
    return nullcontext()


@dataclass(frozen=True)
class BuildRequest:
    """One image to build."""

    dockerfile: str
    """The text."""
    folder: Path
    """The bundle's, for engines that read a folder in place."""
    context: Callable[[], Iterator[bytes]]
    """The same with the Dockerfile as a tar, for engines that take a stream."""
    dockerfile_path: str
    """Of the Dockerfile inside `context`."""
    tags: Sequence[str]
    staged: Callable[[Progress], AbstractContextManager[Path | None]] = _no_folder
    """`context` as a folder, there until it is left, for engines that keep what they were sent before; None
    where there can be none."""
    labels: Mapping[str, str] = field(default_factory=dict)
    build_args: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[Secret] = ()
    platform: str = ""
    """`linux/arm64`; empty: this machine's."""
    network: str = ""
    """For the steps of the build: `host`, `none`, or empty for the engine's own."""
    no_cache: bool = False
    timestamp: int = 0
    """Seconds since 1970 that files and image are dated with, where the engine can."""


class ImageFacts(msgspec.Struct, kw_only=True, frozen=True):
    """What an engine knows of an image in its store."""

    id: str
    """`sha256:…` of its configuration."""
    size_bytes: int
    """Unpacked."""
    layers: list[str]
    """Digests of the unpacked layers, the base's first."""
    port: int
    """The first that it exposes; 0: none."""
    platform: str
    """`linux/amd64`"""
    labels: dict[str, str]
    env: dict[str, str]


@dataclass(frozen=True)
class RunRequest:
    """One container to start."""

    image: str
    container_port: int
    host: str = "127.0.0.1"
    """Address of this machine that the port is published on."""
    port: int = 0
    """Of this machine; 0: any free one."""
    more_ports: Mapping[int, int] = field(default_factory=dict)
    """Further ports of the container, and those of this machine that they are published on."""
    gpus: str = ""
    """`all`, a number, or empty."""
    env: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    """Arguments for the program in the image: `serve`."""
    name: str = ""

    @property
    def host_in_url(self) -> str:
        """As it stands before a port: `[::1]`."""
        return f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host


class Container(Protocol):
    """One that was started."""

    id: str

    def port(self) -> int:
        """Of this machine, where its port is published; 0 while it is not known."""

    def exit_code(self) -> int | None:
        """None while it runs."""

    def logs(self) -> Iterator[bytes]:
        """What it writes, from its start until it ends."""

    def stop(self, limit_s: float) -> None:
        """Asks it to end and waits; kills it after the limit."""

    def remove(self) -> None:
        """Also when it runs; nothing happens when it is gone."""


class Engine(Protocol):
    """What answers on this machine. Its errors are `ImageError`, in words for the user."""

    name: str
    """`docker`, `podman`, `buildah`, `nerdctl`"""
    version: str
    link: bool
    """Whether it knows `COPY --link`."""
    arranged: bool
    """Whether it gets a context that is made for the build, and not the bundle's folder in place."""
    joins: bool
    """Whether it can give one name to images for several platforms."""

    def build(self, request: BuildRequest, on_progress: Progress) -> str:
        """Returns the image's id."""

    def inspect(self, image: str) -> ImageFacts:
        """Raises `NotFoundError` when it has no such image."""

    def push(self, image: str, on_progress: Progress) -> str:
        """Returns the digest that the registry gave it, `sha256:…`."""

    def join(self, name: str, images: Sequence[str]) -> None:
        """Makes the name stand for images for several platforms: for all of them where the engine keeps such
        lists, else for the one of its own platform, when that is among them. What had the name loses it."""

    def push_joined(self, name: str, images: Sequence[str], on_progress: Progress) -> str:
        """Pushes a name that was joined from images that were pushed; returns the digest of the list, empty
        where the engine does not say it."""

    def save(self, image: str, path: Path, on_progress: Progress) -> None:
        """Writes what `docker load` takes: manifest.json, configuration and layers in a tar."""

    def run(self, request: RunRequest) -> Container:
        """Starts a container in the background."""
