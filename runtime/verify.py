"""Is a bundle what its manifest says?

The supervisor checks before any code of a bundle is imported: the manifest, its own digest and every file
but the models' weights, which `Model.load` checks itself just before it unpickles them. It costs some
milliseconds. A `__pycache__` inside a bundle is a file that its manifest does not name, and is refused;
processes that import from a bundle write none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from ..errors import IntegrityError, InvalidTagError, NotFoundError
from .cgroup import cpu_count
from .digest import content_digest, hash_stream, open_regular
from .manifest import BUNDLE_FILE, MODEL_FILE, BundleInfo, FileEntry, load_yaml
from .paths import paths_problem
from .signatures import SIGNATURES_FILE, check_signed, read_keys, read_signatures
from .tag import Tag


class Damage(NamedTuple):
    """One file that is not what its manifest says."""

    path: str
    what: str
    """`missing`, `changed`, `not listed`, `not a regular file`"""


_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHOWN = 10


def check_entries(entries: list[FileEntry], *, manifest: str) -> str | None:
    """What is wrong with the files that a manifest names, as a sentence; None when nothing is."""
    for entry in entries:
        if entry.size_bytes < 0 or not _SHA256.fullmatch(entry.sha256) or entry.mode not in {"644", "755"}:
            return f"{entry.path!r} has a bad size, digest or mode"
    return paths_problem((entry.path for entry in entries), reserved=manifest)


def bundle_digest(info: BundleInfo) -> str:
    """`sha256:…` over service, models and files.

    Name, version, time, provenance and labels are left out: two hosts that build the same inputs agree.
    """
    return content_digest(info.files, format=info.format, service=info.service, models=info.models)


def check_bundle(info: BundleInfo, path: Path) -> None:
    """Checks what a bundle's manifest says against itself: paths, models, sizes and the digest.

    Args:
        info: as read.
        path: named in errors.

    Raises:
        IntegrityError: it was damaged or edited.
    """
    problem = check_entries(info.files, manifest=BUNDLE_FILE) or _tag_problem(info)
    if problem is None and info.size_bytes != sum(file.size_bytes for file in info.files):
        problem = "size_bytes is not the sum of its files"
    paths = {file.path for file in info.files}
    if any(path.partition("/")[0].casefold() == SIGNATURES_FILE for path in paths):
        problem = problem or f"{SIGNATURES_FILE} is among its files"
    for tag in [] if problem else map(Tag.parse, info.models):
        if f"models/{tag.name}/{tag.version}/{MODEL_FILE}" not in paths:
            problem = problem or f"model {tag} is not among its files"
    if problem is None and bundle_digest(info) != info.digest:
        problem = "its digest is not the one of its content"
    if problem is not None:
        raise IntegrityError(f"{path} is damaged or was edited: {problem}")


def _tag_problem(info: BundleInfo) -> str | None:
    try:
        tags = [Tag(info.name, info.version), *map(Tag.parse, info.models)]
    except InvalidTagError as error:
        return str(error)
    return "a version is called latest" if any(tag.is_latest for tag in tags) else None


def read_bundle(folder: Path) -> BundleInfo:
    """The manifest of a bundle folder, checked against itself.

    Raises:
        NotFoundError: no bundle there.
        IntegrityError: the manifest is damaged or was edited.
    """
    return read_manifest(folder)[0]


def read_manifest(folder: Path) -> tuple[BundleInfo, bytes]:
    """The same, and the bytes that were read: what a signature is about.

    Raises:
        NotFoundError, IntegrityError: as `read_bundle`.
    """
    path = folder / BUNDLE_FILE
    try:
        data = path.read_bytes()
        info = load_yaml(path, BundleInfo, text=data.decode())
    except FileNotFoundError:
        raise NotFoundError(f"no bundle in {folder}: it has no {BUNDLE_FILE}") from None
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{path} is not YAML: {error}") from error
    check_bundle(info, path)
    return info, data


def verify(folder: Path, *, on_progress: Callable[[int, int], None] | None = None) -> list[Damage]:
    """Rehashes every file of a bundle on all cores.

    Args:
        folder: the bundle.
        on_progress: called with the bytes done and the bytes in all, by one thread at a time.

    Returns:
        Every changed, missing and unlisted file; empty when the bundle is whole.
    """
    info = read_bundle(folder)
    done = 0
    lock = Lock()

    def count(size_bytes: int) -> None:
        nonlocal done
        with lock:
            done += size_bytes
            if on_progress is not None:
                on_progress(done, info.size_bytes)

    damage = check_files(folder, info.files, on_bytes=count)
    damage += unlisted_files(folder, info.files, manifest=BUNDLE_FILE, beside=SIGNATURES_FILE)
    try:
        read_signatures(folder)
    except IntegrityError:
        damage.append(Damage(SIGNATURES_FILE, "changed"))
    return damage


def check_files(
    folder: Path, entries: Sequence[FileEntry], *, on_bytes: Callable[[int], None] | None = None
) -> list[Damage]:
    """Rehashes files on all cores (hashing releases the interpreter lock).

    Args:
        folder: what the entries are relative to.
        entries: with paths that `check_entries` found harmless.
        on_bytes: called from several threads with the size of every file that was read.

    Returns:
        What is missing or changed, in the order of the entries.
    """

    def check(entry: FileEntry) -> Damage | None:
        try:
            with open_regular(folder / entry.path) as file:
                same = os.fstat(file.fileno()).st_size == entry.size_bytes
                same = same and hash_stream(file)[0] == entry.sha256
        except (FileNotFoundError, NotADirectoryError):
            return Damage(entry.path, "missing")
        except IntegrityError:
            return Damage(entry.path, "not a regular file")
        if on_bytes is not None:
            on_bytes(entry.size_bytes)
        return None if same else Damage(entry.path, "changed")

    with ThreadPoolExecutor(max_workers=max(1, int(cpu_count()))) as pool:
        return [damage for damage in pool.map(check, entries) if damage is not None]


def unlisted_files(
    folder: Path, entries: Iterable[FileEntry], *, manifest: str, beside: str = ""
) -> list[Damage]:
    """Files and links below `folder` that no entry names; neither the manifest is one nor what lies beside
    it by right."""
    known = {manifest, beside, *(entry.path for entry in entries)}
    found = []
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(folder / prefix) as listing:
            for item in listing:
                path = prefix + item.name
                if item.is_dir(follow_symlinks=False):
                    pending.append(path + "/")
                elif path not in known:
                    found.append(Damage(path, "not listed"))
    return sorted(found)


def verify_before_serving(folder: Path, *, signed_by: Sequence[str] = ()) -> BundleInfo:
    """Checks all that is imported or read before a model is loaded; weights are left to `Model.load`.

    Args:
        folder: the bundle.
        signed_by: files of public keys, one of which must have signed it; none: it need not be signed.

    Raises:
        NotFoundError: no bundle there.
        SignatureError: nobody who is trusted signed it; nothing of it was run.
        IntegrityError: names the files that are changed, missing, or not in the manifest.
        ConfigError: a key cannot be read.
    """
    info, manifest = read_manifest(folder)
    if signed_by:
        check_signed(info, manifest, read_signatures(folder), read_keys(signed_by))
    own = [file for file in info.files if not file.path.startswith("models/") or _is_manifest(file.path)]
    damage = check_files(folder, own)
    damage += unlisted_files(folder, info.files, manifest=BUNDLE_FILE, beside=SIGNATURES_FILE)
    if damage:
        raise IntegrityError(f"{folder} is damaged, nothing of it was run:\n{describe_damage(damage)}")
    return info


def describe_damage(damage: list[Damage]) -> str:
    """One line a file, the first few of many."""
    lines = [f"  {path}: {what}" for path, what in damage[:_SHOWN]]
    if len(damage) > _SHOWN:
        lines.append(f"  and {len(damage) - _SHOWN} more")
    return "\n".join(lines)


def _is_manifest(path: str) -> bool:
    return path.count("/") == 3 and path.endswith(f"/{MODEL_FILE}")
