"""NVIDIA's own library as a source: names, UUIDs, memory, MIG instances. Read with ctypes, no package needed.

Functions and codes: https://docs.nvidia.com/deploy/nvml-api/ (nvml.h, API version 2).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from .gpu import Gpu

LIBRARY = "libnvidia-ml.so.1"
_TEXT_BYTES = 96
_MIG_ENABLED = 1
_VERSION_MISMATCH = 18


class NvmlError(Exception):
    """A function answered with a code other than success."""


@dataclass(frozen=True)
class Versions:
    """What the driver says of itself."""

    driver: str = ""
    """`550.54.15`; empty: it did not tell."""
    cuda: tuple[int, int] | None = None
    """Newest release of CUDA that the `libcuda` in this container runs: `(12, 4)`; None: there is none."""
    devices: int = 0
    mismatch: bool = False
    """The libraries are of another version than the kernel module that is loaded."""


class _Memory(ctypes.Structure):
    """`nvmlMemory_t`, bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def read(library: Any = None) -> list[Gpu] | None:
    """Every device of the machine that this container may see, in the order of the bus.

    Args:
        library: as `ctypes.CDLL` gives it; None loads the driver's.

    Returns:
        None when there is no such library or the driver does not run: another source has to tell.
    """
    try:
        nvml = ctypes.CDLL(LIBRARY) if library is None else library
        _call(nvml.nvmlInit_v2)
    except (OSError, NvmlError):
        return None
    try:
        count = ctypes.c_uint()
        _call(nvml.nvmlDeviceGetCount_v2, ctypes.byref(count))
        return [_device(nvml, index) for index in range(count.value)]
    except NvmlError:
        return None
    finally:
        nvml.nvmlShutdown()


def versions(library: Any = None) -> Versions | None:
    """
    Args:
        library: as `ctypes.CDLL` gives it; None loads the driver's.

    Returns:
        None when there is no such library or the driver does not run.
    """
    try:
        nvml = ctypes.CDLL(LIBRARY) if library is None else library
    except OSError:
        return None
    code = nvml.nvmlInit_v2()
    if code != 0:
        return Versions(mismatch=True) if code == _VERSION_MISMATCH else None
    try:
        text = ctypes.create_string_buffer(_TEXT_BYTES)
        count, cuda = ctypes.c_uint(), ctypes.c_int()
        _call(nvml.nvmlSystemGetDriverVersion, text, ctypes.c_uint(_TEXT_BYTES))
        _call(nvml.nvmlDeviceGetCount_v2, ctypes.byref(count))
        found = Versions(text.value.decode(), devices=count.value)
        with suppress(NvmlError):  # no libcuda: the container was started without the capability `compute`
            _call(nvml.nvmlSystemGetCudaDriverVersion_v2, ctypes.byref(cuda))
            found = replace(found, cuda=(cuda.value // 1000, cuda.value % 1000 // 10))
    except NvmlError:
        return None
    else:
        return found
    finally:
        nvml.nvmlShutdown()


def _device(nvml: Any, index: int) -> Gpu:
    handle = ctypes.c_void_p()
    _call(nvml.nvmlDeviceGetHandleByIndex_v2, ctypes.c_uint(index), ctypes.byref(handle))
    return _described(nvml, handle, tuple(_instances(nvml, handle)))


def _instances(nvml: Any, device: ctypes.c_void_p) -> Iterator[Gpu]:
    current, pending, most = ctypes.c_uint(), ctypes.c_uint(), ctypes.c_uint()
    with suppress(NvmlError):  # a device without MIG says "not supported"
        _call(nvml.nvmlDeviceGetMigMode, device, ctypes.byref(current), ctypes.byref(pending))
    if current.value != _MIG_ENABLED:
        return
    _call(nvml.nvmlDeviceGetMaxMigDeviceCount, device, ctypes.byref(most))
    for index in range(most.value):
        handle = ctypes.c_void_p()
        with suppress(NvmlError):  # places without an instance say "not found"
            place = ctypes.c_uint(index)
            _call(nvml.nvmlDeviceGetMigDeviceHandleByIndex, device, place, ctypes.byref(handle))
            yield _described(nvml, handle, ())


def _described(nvml: Any, handle: ctypes.c_void_p, instances: tuple[Gpu, ...]) -> Gpu:
    memory = _Memory()
    with suppress(NvmlError):  # not told of devices that share the machine's memory
        _call(nvml.nvmlDeviceGetMemoryInfo, handle, ctypes.byref(memory))
    return Gpu(
        _text(nvml.nvmlDeviceGetUUID, handle),
        _text(nvml.nvmlDeviceGetName, handle),
        memory.total,
        instances,
    )


def _text(function: Any, handle: ctypes.c_void_p) -> str:
    buffer = ctypes.create_string_buffer(_TEXT_BYTES)
    _call(function, handle, buffer, ctypes.c_uint(_TEXT_BYTES))
    return buffer.value.decode()


def _call(function: Any, *arguments: Any) -> None:
    code = function(*arguments)
    if code != 0:
        raise NvmlError(f"{function}: {code}")
