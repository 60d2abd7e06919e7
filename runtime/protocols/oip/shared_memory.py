"""Memory that callers on this machine share with the server: tensors are read and written there.

A caller makes a POSIX shared memory object and registers a stretch of it under a name. Registrations are
kept in a file of the run folder, `shared_memory.json`, so that they hold in every API process, also after a
restart; each process looks whether it has changed.

The memory is read and written with system calls, not mapped: a caller may cut the object off at any time, and
touching a page that is gone would end the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ....errors import InvalidInputError, PayloadTooLargeError, RequestError
from .unsupported import UnsupportedError

FILE = "shared_memory.json"
_LOCK = "shared_memory.lock"
OBJECTS = Path("/dev/shm")  # noqa: S108 - where Linux has them
MAX_REGIONS = 1024
MAX_NAME_CHARS = 255


class UnknownRegionError(RequestError):
    status = 404
    title = "Unknown shared memory region"


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a shared memory object."""

    name: str
    key: str
    """Of the object, `/input0`."""
    offset: int
    """Bytes before it."""
    byte_size: int
    file: tuple[int, int]
    """Device and inode of the object: another one under the same key is not what was registered."""


class SharedMemory:
    """The regions of a server, as one process sees them.

    Args:
        run_folder: of the server.
        allowed: whether callers may (`--allow-client-shm`).
        limit_bytes: of what one request may have read.
        objects: folder of the shared memory objects.
    """

    def __init__(self, run_folder: Path, *, allowed: bool, limit_bytes: int, objects: Path = OBJECTS) -> None:
        self._path = run_folder / FILE
        self._lock = run_folder / _LOCK
        self._allowed = allowed
        self._limit_bytes = limit_bytes
        self._objects = objects
        self._regions: dict[str, Region] = {}
        self._seen = 0

    def register(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Lets requests name a stretch of an object.

        Args:
            key: of the object, `/input0`.
            offset: where it begins, in bytes.
            byte_size: how long it is.

        Raises:
            InvalidInputError: the name is taken, the key is no name of an object, or the object is not there,
                cannot be read and written, or is too small.
            UnsupportedError: the server was not told to allow it.
        """
        self._check_allowed()
        if not 0 < len(name) <= MAX_NAME_CHARS:
            raise InvalidInputError(f"the name of a region has 1 to {MAX_NAME_CHARS} characters")
        if offset < 0 or byte_size <= 0:
            raise InvalidInputError(
                f"failed to register shared memory region '{name}': offset {offset} and byte_size "
                f"{byte_size}; give an offset of 0 or more, and a size above 0"
            )
        with self._changing() as regions:
            if name in regions:
                raise InvalidInputError(f"shared memory region '{name}' already in manager")
            if len(regions) >= MAX_REGIONS:
                raise InvalidInputError(f"{MAX_REGIONS} regions are registered: unregister some first")
            with self._opened(name, key) as (descriptor, found):
                size = os.fstat(descriptor).st_size
            if offset + byte_size > size:
                raise InvalidInputError(
                    f"failed to register shared memory region '{name}': {key!r} has {size} bytes, offset "
                    f"{offset} and byte_size {byte_size} reach past its end"
                )
            regions[name] = Region(name=name, key=key, offset=offset, byte_size=byte_size, file=found)

    def unregister(self, name: str = "") -> None:
        """Forgets a region, or all; one that nobody registered is forgotten already."""
        if self._allowed:
            with self._changing() as regions:
                if name:
                    regions.pop(name, None)
                else:
                    regions.clear()

    def status(self, name: str = "") -> list[dict[str, Any]]:
        """`name`, `key`, `offset` and `byte_size` of a region, or of all.

        Raises:
            UnknownRegionError: nobody registered that name.
        """
        regions = self._current()
        found = [self.region(name)] if name else list(regions.values())
        return [
            {"name": each.name, "key": each.key, "offset": each.offset, "byte_size": each.byte_size}
            for each in found
        ]

    def region(self, name: str) -> Region:
        """
        Raises:
            UnknownRegionError: nobody registered that name.
            UnsupportedError: the server was not told to allow shared memory.
        """
        self._check_allowed()
        region = self._current().get(name)
        if region is None:
            raise UnknownRegionError(f"Unable to find shared memory region: '{name[:MAX_NAME_CHARS]}'")
        return region

    def read(self, name: str, offset: int, byte_size: int) -> memoryview:
        """A copy of some bytes of a region: what the caller does to them later changes nothing.

        Args:
            offset: from the beginning of the region.

        Raises:
            UnknownRegionError: nobody registered that name.
            InvalidInputError: the bytes are not all in the region, or the object is gone or was cut off.
            PayloadTooLargeError: more than a body may have.
            UnsupportedError: the server was not told to allow shared memory.
        """
        region = self._reaching(name, offset, byte_size)
        if byte_size > self._limit_bytes:
            raise PayloadTooLargeError(
                f"{byte_size} bytes of shared memory, the limit is {self._limit_bytes}"
            )
        data = memoryview(np.empty(byte_size, np.uint8))  # type: ignore[arg-type]  # not zeroed, as bytearray is
        with self._opened(name, region.key, region.file) as (descriptor, _):
            done = 0
            while done < byte_size:
                read = os.preadv(descriptor, [data[done:]], region.offset + offset + done)
                if not read:
                    raise InvalidInputError(_cut_off(name))
                done += read
        return data

    def write(self, name: str, offset: int, room: int, data: bytes | memoryview) -> None:
        """Puts an output where its caller will look for it.

        Args:
            offset: from the beginning of the region.
            room: bytes that the caller keeps free for it.

        Raises:
            UnknownRegionError, InvalidInputError, UnsupportedError: as `read`; or the room is too small.
        """
        region = self._reaching(name, offset, room)
        with memoryview(data).cast("B") as left:
            if len(left) > room:
                raise InvalidInputError(
                    f"shared memory size specified with the request for region '{name}' ({room} bytes) "
                    f"should be at least {len(left)} bytes to hold the results"
                )
            with self._opened(name, region.key, region.file) as (descriptor, _):
                at = region.offset + offset
                if os.fstat(descriptor).st_size < at + len(left):  # writing would make it grow
                    raise InvalidInputError(_cut_off(name))
                done = 0
                while done < len(left):
                    done += os.pwrite(descriptor, left[done:], at + done)

    def _check_allowed(self) -> None:
        if not self._allowed:
            raise UnsupportedError(
                "shared memory of callers is off; start the server with --allow-client-shm, where callers on "
                "this machine are trusted"
            )
        if not self._objects.is_dir():
            raise UnsupportedError(f"shared memory of callers needs Linux: there is no {self._objects}")

    def _reaching(self, name: str, offset: int, byte_size: int) -> Region:
        region = self.region(name)
        if offset < 0 or byte_size < 0 or offset + byte_size > region.byte_size:
            raise InvalidInputError(
                f"Invalid offset + byte size for shared memory region: '{name}': {offset} + {byte_size}, it "
                f"has {region.byte_size} bytes"
            )
        return region

    @contextlib.contextmanager
    def _opened(
        self, name: str, key: str, known: tuple[int, int] | None = None
    ) -> Iterator[tuple[int, tuple[int, int]]]:
        """The object's descriptor, its device and inode.

        Args:
            known: device and inode that it must have.
        """
        # O_NONBLOCK: a pipe of that name must not keep the server waiting.
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(self._objects / _object_name(key), flags)
        except OSError as error:
            raise InvalidInputError(
                f"Unable to open shared memory region '{name}': {key!r}: {error.strerror}"
            ) from None
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise InvalidInputError(
                    f"Unable to open shared memory region '{name}': {key!r} is no shared memory"
                )
            if known is not None and known != (found.st_dev, found.st_ino):
                raise InvalidInputError(
                    f"shared memory region '{name}': {key!r} is another object than the one that was "
                    "registered; unregister it and register it again"
                )
            yield descriptor, (found.st_dev, found.st_ino)
        finally:
            os.close(descriptor)

    def _current(self) -> dict[str, Region]:
        """What the file says; read again only when it is another one."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return {}
        seen = found.st_mtime_ns
        if seen != self._seen:
            regions = msgspec.json.decode(self._path.read_bytes(), type=list[Region])
            self._regions, self._seen = {region.name: region for region in regions}, seen
        return self._regions

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Region]]:
        """The regions, to be changed while no other process does; not kept when an error is raised."""
        lock = os.open(self._lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            regions = dict(self._current())
            yield regions
            fresh = self._path.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(list(regions.values())))
            fresh.chmod(0o600)
            # Never the same twice: by it the other processes see that the file is another one.
            stamp = max(time.time_ns(), self._seen + 1)
            os.utime(fresh, ns=(stamp, stamp))
            fresh.replace(self._path)
        finally:
            os.close(lock)


def _object_name(key: str) -> str:
    """The file name for a key.

    Raises:
        InvalidInputError: it would lead elsewhere.
    """
    name = key.removeprefix("/")
    leads_away = any(part in name for part in ("/", "\0", "..")) or name in ("", ".")
    if leads_away or len(os.fsencode(name)) > MAX_NAME_CHARS:
        raise InvalidInputError(
            f"{key[:MAX_NAME_CHARS]!r} is no key of shared memory: a slash and a name without '/' and '..'"
        )
    return name


def _cut_off(name: str) -> str:
    return f"shared memory region '{name}' was cut off since it was registered"
