"""What this machine, container and environment are like; gathered once, before any check."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from ...errors import ServerError
from ...runtime import cgroup
from ...runtime.cuda_check import look
from ...runtime.home import home
from ...runtime.supervisor.gpu import Gpu
from ...runtime.supervisor.gpus import detect
from ...runtime.supervisor.nvml import Versions
from ...runtime.supervisor.room import memory_bytes
from ..engines.choose import ENGINES
from ..python.info_folders import info_folders, versions_of
from .volume import Volume, volume

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the kernel's own name


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Facts, with values of a machine where nothing is wrong, so that a test names only what differs."""

    system: str = "linux"
    arch: str = "amd64"
    """`amd64` or `arm64`, as images call them."""
    python: str = "3.11.0"
    cores: float = 8
    """That this process may use."""
    memory_bytes: int = 32 * 10**9
    """That this container may use."""
    gpus: tuple[Gpu, ...] = ()
    gpus_from: str = "no NVIDIA driver was found"
    driver: Versions | None = None
    """None: no driver, or it does not run."""
    loaded_driver: str = ""
    """Version of the kernel module."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Installed here: canonical name to version."""
    info_folders: Mapping[str, Path] = field(default_factory=dict)
    """Of the packages: their `….dist-info`."""
    home: Path = Path("/home/me/.tiffin")
    home_volume: Volume | None = None
    shared_memory: Volume | None = None
    """None: there is no /dev/shm here."""
    open_files: tuple[int, int] = (65536, 65536)
    """Soft and hard limit; -1: none."""
    processes: int = -1
    """Limit on processes and threads of this user; -1: none."""
    uv: bool = True
    engines: tuple[str, ...] = ("docker",)
    """Container engines that are on the PATH."""
    docker_socket: bool | None = True
    """Whether this user may speak to Docker's daemon; None: there is no socket."""
    environ: Mapping[str, str] = field(default_factory=dict)
    now: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)


def this_machine() -> Machine:
    """
    Raises:
        ConfigError: `TIFFIN_CPUS` or `TIFFIN_MEMORY_MIB` is no number.
    """
    seen = look()
    try:
        gpus = detect()
        devices, source = gpus.devices, gpus.source
    except ServerError as error:  # the variable names a device twice: the check says so
        devices, source = (), str(error)
    folders = info_folders()
    store = home()
    return Machine(
        system=sys.platform,
        arch={"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine()),
        python=platform.python_version(),
        cores=cgroup.cpu_count(),
        memory_bytes=memory_bytes(),
        gpus=devices,
        gpus_from=source,
        driver=seen.versions,
        loaded_driver=seen.loaded,
        packages=versions_of(folders),
        info_folders=folders,
        home=store,
        home_volume=volume(store),
        shared_memory=volume(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None,
        open_files=_bounded(resource.getrlimit(resource.RLIMIT_NOFILE)),
        processes=_bounded(resource.getrlimit(resource.RLIMIT_NPROC))[0],
        uv=_has_uv(folders),
        engines=tuple(name for name in ENGINES if shutil.which(name)),
        docker_socket=_docker_socket(),
        environ=dict(os.environ),
        now=datetime.now(timezone.utc),
    )


def _bounded(limits: tuple[int, int]) -> tuple[int, int]:
    """Without a limit the system tells its largest number, or -1."""
    soft, hard = (-1 if each in {resource.RLIM_INFINITY, -1} else each for each in limits)
    return soft, hard


def _has_uv(folders: Mapping[str, Path]) -> bool:
    return "uv" in folders or shutil.which("uv") is not None


def _docker_socket() -> bool | None:
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not address.startswith("unix://"):
        return True  # a machine elsewhere: only a connection would tell
    path = Path(address.removeprefix("unix://"))
    return os.access(path, os.R_OK | os.W_OK) if path.exists() else None
