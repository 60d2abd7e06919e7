"""At the start of an image for GPUs: is there a driver, and is it new enough?

Frameworks answer a missing or old driver with an error deep inside of a model, or fall back to the CPU
without a word. The image knows what it was built for (`TIFFIN_CUDA`, `TIFFIN_CUDA_DRIVER` and
`TIFFIN_CUDA_OWN_DRIVER`, which the Dockerfile sets), and says plainly what to do.

https://docs.nvidia.com/deploy/cuda-compatibility/: a driver runs every release of its family (12.x) from the
family's first driver on; data centre GPUs run newer families on older drivers with the libraries of the
package `cuda-compat`, which `nvidia/cuda` images have.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .supervisor.nvml import Versions, versions

TOOLKIT = "TIFFIN_CUDA"
DRIVER = "TIFFIN_CUDA_DRIVER"
OWN_DRIVER = "TIFFIN_CUDA_OWN_DRIVER"
_COMPATIBILITY = "/usr/local/cuda/compat"
_GIVE = (
    "start the container with them: `docker run --gpus all …`, `podman run --device nvidia.com/gpu=all …`, "
    "or in Kubernetes `resources: {limits: {nvidia.com/gpu: 1}}`"
)
_NONE = ("none", "void", "")
"""`NVIDIA_VISIBLE_DEVICES` with which a person wants no GPU. `void` is also what the container toolkit leaves
there when it has put them in another way."""
_NO_DEVICES = ("-1", "", "NoDevFiles")
"""The same of `CUDA_VISIBLE_DEVICES`."""
_KERNEL_MODULE = re.compile(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s")


@dataclass(frozen=True)
class Seen:
    """What this container sees of NVIDIA."""

    versions: Versions | None = None
    """From the driver's own library; None: it is not here, or does not run."""
    loaded: str = ""
    """Version of the machine's kernel module, `550.54.15`; empty: none is loaded."""
    control: bool = False
    """Whether `/dev/nvidiactl` is here."""
    compatibility: bool = False
    """Whether the libraries of `cuda-compat` are here."""


@dataclass(frozen=True)
class Verdict:
    level: int
    """Of `logging`."""
    text: str


def check(log: logging.Logger) -> None:
    """Says at most one thing, at the start of a container; nothing when all is well or the image is no GPU's.

    Raises nothing: a service may run on the CPU, and a runner that cannot says so itself.
    """
    if not os.environ.get(TOOLKIT):
        return
    verdict = judge(os.environ, look())
    if verdict is not None:
        log.log(verdict.level, "%s", verdict.text, extra={"cuda": os.environ[TOOLKIT]})


def look(root: Path = Path("/")) -> Seen:
    """
    Args:
        root: `/`, or a folder that holds a `proc/` and `dev/` for tests, where no library is asked.
    """
    file = root / "proc/driver/nvidia/version"
    try:
        found = _KERNEL_MODULE.search(file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        found = None
    return Seen(
        versions=versions() if root == Path("/") else None,
        loaded=found[1] if found else "",
        control=(root / "dev/nvidiactl").exists(),
        compatibility=any((root / _COMPATIBILITY.strip("/")).glob("libcuda.so*")),
    )


def judge(environ: Mapping[str, str], seen: Seen) -> Verdict | None:
    """
    Args:
        environ: of the container.

    Returns:
        None: all is well, or somebody chose to have no GPU.
    """
    toolkit, needed = environ.get(TOOLKIT, ""), environ.get(DRIVER, "")
    if not toolkit or environ.get("CUDA_VISIBLE_DEVICES") in _NO_DEVICES:
        return None
    if seen.versions is not None and seen.versions.mismatch:
        return _warning(
            "NVIDIA's libraries in this container are of another version than the driver that is loaded"
            f"{f' ({seen.loaded})' if seen.loaded else ''}: the driver was updated; restart the machine, or "
            "reload its kernel modules, and start the container again"
        )
    if seen.versions is None and not seen.control:
        wanted = environ.get("NVIDIA_VISIBLE_DEVICES") not in _NONE
        return _invisible(toolkit, needed, seen.loaded) if wanted else None
    if seen.versions is not None and not seen.versions.devices:
        return _warning(f"NVIDIA's driver is here, but none of its GPUs: {_GIVE}")
    driver = seen.versions.driver if seen.versions is not None else seen.loaded
    return _compared(toolkit, needed, environ.get(OWN_DRIVER, ""), driver, seen)


def _invisible(toolkit: str, needed: str, loaded: str) -> Verdict:
    if loaded:
        return _warning(
            f"this image uses CUDA {toolkit}, and the container sees none of the GPUs that this machine has "
            f"a driver for ({loaded}): {_GIVE}. The machine needs nvidia-container-toolkit for it"
        )
    newer = f" {needed} or newer" if needed else ""
    return _warning(
        f"this image uses CUDA {toolkit}, and no driver of NVIDIA's is visible: install the driver{newer} "
        f"and nvidia-container-toolkit on the machine, and {_GIVE}"
    )


def _compared(toolkit: str, needed: str, own: str, driver: str, seen: Seen) -> Verdict | None:
    """What the driver can do of what the image needs."""
    if not driver or not needed:
        return None
    if _numbers(driver) < _numbers(needed):
        runs = seen.versions.cuda if seen.versions is not None else None
        if runs is not None and runs[0] >= _numbers(toolkit)[0]:
            return None  # the libraries of cuda-compat are in use
        forward = (
            f"; on data centre GPUs LD_LIBRARY_PATH={_COMPATIBILITY} may do without"
            if seen.compatibility
            else ""
        )
        return _warning(
            f"NVIDIA's driver {driver} is too old for CUDA {toolkit}, which needs {needed} or newer: update "
            f"the machine's driver{forward}; or lock packages for an older CUDA and build the image again"
        )
    if own and _numbers(driver) < _numbers(own):
        return Verdict(
            logging.INFO,
            f"NVIDIA's driver {driver} is older than that of CUDA {toolkit} ({own}), and runs it all the "
            "same, but for kernels that are compiled for the GPU while the service runs (PTX)",
        )
    return None


def _warning(text: str) -> Verdict:
    return Verdict(logging.WARNING, text)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
