"""TIFFIN_HOME: room on its disk, what file system it is, and who else may write there."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from shlex import quote

from ..words import size_words
from .finding import Finding
from .patient import Patient

NAME = "store"
_LITTLE_BYTES = 1 << 30
_FULL_BYTES = 64 << 20
_FEW_FILES = 10_000
_NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "fuse.sshfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "fuse.s3fs",
)
_IN_MEMORY = ("tmpfs", "ramfs")


def check(patient: Patient) -> Iterator[Finding]:
    store = patient.machine.home_volume
    if store is None:
        yield Finding(
            check=NAME,
            severity="error",
            what=f"the store's folder {patient.machine.home} cannot be looked at",
            where=str(patient.machine.home),
            mend="export TIFFIN_HOME=~/.tiffin",
        )
        return
    where = str(store.path)
    if store.path.is_file():
        yield Finding(
            check=NAME,
            severity="error",
            what="the store is to be a folder, and this is a file",
            where=where,
            mend=f"mv {quote(where)} {quote(where)}.moved  # or: export TIFFIN_HOME=~/.tiffin",
        )
        return
    if not store.writable:
        yield Finding(
            check=NAME,
            severity="error",
            what="the store may not be written by this user",
            where=where,
            mend=f"sudo chown -R $USER {quote(where)}  # or: export TIFFIN_HOME=~/.tiffin",
        )
    if store.free_bytes < _LITTLE_BYTES:
        yield Finding(
            check=NAME,
            severity="error" if store.free_bytes < _FULL_BYTES else "warning",
            what=f"{size_words(store.free_bytes)} of {size_words(store.total_bytes)} are free where the "
            "store is",
            where=where,
            mend="bundle list; bundle delete NAME:VERSION; bundle models delete NAME:VERSION",
        )
    if store.free_files is not None and store.free_files < _FEW_FILES:
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"{store.free_files} more files fit onto the store's file system, whatever their size",
            where=where,
            mend=f"df -i {quote(where)}  # tells what has them; or: export TIFFIN_HOME=/another/disk",
        )
    if store.kind in _NETWORK:
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"the store is on {store.kind}: locks between machines may not hold, and workers cannot map "
            "weights from it well",
            where=where,
            mend="export TIFFIN_HOME=/local/disk  # carry bundles with: bundle export, bundle import",
        )
    if store.kind in _IN_MEMORY:
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"the store is on {store.kind}: it takes memory, and is gone after a restart",
            where=where,
            mend="export TIFFIN_HOME=~/.tiffin",
        )
    if store.mode & stat.S_IWOTH and not store.mode & stat.S_ISVTX:
        yield Finding(
            check=NAME,
            severity="error",
            what="every user of this machine may put models into the store, and a pickle among them runs as "
            "you",
            where=where,
            mend=f"chmod o-w {quote(where)}",
        )
