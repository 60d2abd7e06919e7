"""The build context as a folder of hard links, for clients that send an engine only what it has not.

BuildKit takes a file for the one it has when path, size, mode and time are equal, the time in nanoseconds
(https://github.com/tonistiigi/fsutil, `sameFile`). So each file is dated `EPOCH`, and the nanoseconds follow
from its content; layers keep whole seconds only. A link shares its file with the store, so the stamp is the
stored file's too: it says as well that the file was not written since it was last compared with its digest,
and need not be read again. Stamps of other bytes are equal once in half a milliard times: such a file would
stay the old one in the image, and the server, which compares digests, would refuse it.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from ...runtime.digest import hash_stream, open_regular
from ...runtime.manifest import FileEntry
from ..bar import Progress
from ..bundles import Bundle
from ..context_folders import context_folder
from ..epoch import EPOCH
from .context import FOLDER_MODE, TEXT_MODE, Member, damaged, missing, mode_of

log = logging.getLogger(__name__)

_STAMPS = 500_000_000
"""Nanoseconds below half a second: whoever rounds to whole seconds gets `EPOCH`, too."""


@contextmanager
def staged(
    bundle: Bundle, members: Mapping[str, Member], name: str, on_progress: Progress
) -> Iterator[Path | None]:
    """A folder with the context, removed on leaving; None where the files cannot be linked or stamped:
    on another file system than `TIFFIN_HOME`, somebody else's, or dated without nanoseconds.

    Args:
        bundle: whose files are linked.
        members: of `contents`.
        name: the same for each build that has most files in common.
        on_progress: told how many bytes were compared with their digests.

    Raises:
        IntegrityError: a file is missing, or is not what its digest says.
    """
    with ExitStack() as stack:
        folder: Path | None = None
        try:
            folder = stack.enter_context(context_folder(name))
            _fill(folder, bundle, members, on_progress)
        except OSError as error:
            log.info("the context is sent as a stream: its files cannot be linked or dated: %s", error)
            folder = None
        yield folder


def _fill(folder: Path, bundle: Bundle, members: Mapping[str, Member], on_progress: Progress) -> None:
    total = sum(each.size_bytes for each in members.values() if isinstance(each, FileEntry))
    done = 0
    linked: set[int] = set()
    for path, member in members.items():
        target = folder / path
        if isinstance(member, FileEntry):
            _link(bundle.path / member.path, target, member, linked)
            done += member.size_bytes
            on_progress("check files", done, total)
        elif isinstance(member, bytes):
            target.write_bytes(member)
            target.chmod(TEXT_MODE)
            _stamp(target, hashlib.sha256(member).hexdigest())
        else:
            target.mkdir()
            target.chmod(FOLDER_MODE)  # whatever the umask
            os.utime(target, (EPOCH, EPOCH))  # which the empty ones keep


def _link(source: Path, target: Path, entry: FileEntry, linked: set[int]) -> None:
    try:
        open_regular(source).close()  # what is no file is told by its own name
    except FileNotFoundError:
        raise missing(source) from None
    os.link(source, target, follow_symlinks=False)
    with open_regular(target) as file:  # not the source: linking may make a new file of it, on overlayfs
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode != mode_of(entry):
            raise PermissionError(f"{source} has mode {mode:o}: it is not as the store has it")
        number = _checked(file, source, entry).st_ino
        if number in linked:  # the client would send a link, and the layer would have one
            file.seek(0)
            target.unlink()
            with target.open("xb") as copy:
                shutil.copyfileobj(file, copy)
            target.chmod(mode_of(entry))
            _stamp(target, entry.sha256)
        linked.add(number)


def _checked(file: BinaryIO, source: Path, entry: FileEntry) -> os.stat_result:
    status = os.fstat(file.fileno())
    if status.st_size != entry.size_bytes:
        raise damaged(source)
    if status.st_mtime_ns != stamp_of(entry.sha256):
        if hash_stream(file)[0] != entry.sha256:
            raise damaged(source)
        _stamp(file.fileno(), entry.sha256)
    return status


def stamp_of(sha256: str) -> int:
    """The time of a file with this digest, in nanoseconds since 1970."""
    return EPOCH * 10**9 + int(sha256[:15], 16) % _STAMPS


def _stamp(file: Path | int, sha256: str) -> None:
    """
    Raises:
        OSError: it may not be dated, or the file system keeps no nanoseconds: another file of this size would
            pass for it.
    """
    stamp = stamp_of(sha256)
    os.utime(file, ns=(stamp, stamp))
    if os.stat(file).st_mtime_ns != stamp:  # noqa: PTH116 - it may be a descriptor
        raise OSError(errno.ENOTSUP, "the file system keeps no nanoseconds of times")
