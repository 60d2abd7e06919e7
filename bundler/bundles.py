"""The bundles of the store: find, list, delete, carry between stores, check."""

from __future__ import annotations

import builtins
import contextlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import AlreadyExistsError, IntegrityError, NotFoundError
from ..runtime import verify as _verify
from ..runtime.home import bundles_folder
from ..runtime.manifest import BUNDLE_FILE, BundleInfo, FileEntry, load_yaml
from ..runtime.signatures import SIGNATURES_FILE, read_signatures
from ..runtime.tag import Tag
from ..runtime.verify import Damage, check_bundle, read_bundle
from .archive_reading import read_archive
from .archive_writing import archive_path, write_archive
from .bar import BytesProgress
from .context_folders import sweep as sweep_contexts
from .store import Store


@dataclass(frozen=True)
class Bundle:
    """One version of a bundle in the store."""

    tag: Tag
    info: BundleInfo
    path: Path
    """Its folder."""

    def __repr__(self) -> str:
        return f"<Bundle {self.tag} {self.info.digest[:19]}…>"

    def _repr_html_(self) -> str:
        """For notebooks."""
        from .bundle_card import bundle_card

        return bundle_card(self)


def bundle_store() -> Store:
    """`<home>/bundles`"""
    return Store(bundles_folder(), BUNDLE_FILE)


def get(tag: str | Tag) -> Bundle:
    """A bundle of the store.

    Args:
        tag: `iris`, `iris:latest`, `iris:6f3k2q…`, or the first 6 or more characters of a version.

    Raises:
        NotFoundError: names the nearest.
        IntegrityError: its manifest is damaged.
    """
    return _open(bundle_store().path(tag))


def list(name: str | None = None) -> builtins.list[Bundle]:  # noqa: A001 - bundles.list() is what it is called
    """Every bundle in the store, by name, oldest first.

    Args:
        name: only the versions of this one; none of them is an empty list.

    Raises:
        IntegrityError: the manifest of one is damaged; `tags` and `get` tell which.
    """
    found = []
    for tag in tags(name):
        with contextlib.suppress(NotFoundError):  # deleted since
            found.append(_open(bundle_store().root / tag.name / tag.version))
    return found


def tags(name: str | None = None) -> builtins.list[Tag]:
    """The tags of `list`; no manifest is read, so that damaged bundles are among them."""
    store = bundle_store()
    store.sweep()
    names = store.names() if name is None else [Tag(name).name]
    return [Tag(each, version) for each in names for version in store.versions(each)]


def delete(tag: str | Tag) -> Tag:
    """Removes one version.

    Returns:
        The tag that was removed.

    Raises:
        NotFoundError: no such bundle.
    """
    deleted = bundle_store().delete(tag)
    sweep_contexts()  # links of a build that was killed would keep its files on the disk
    return deleted


def export(
    tag: str | Tag, path: str | Path | None = None, *, on_progress: BytesProgress | None = None
) -> Path:
    """Writes a bundle, its models included, to one file that `import_` takes.

    Args:
        tag: as for `get`.
        path: the file, or a folder to put `<name>-<version>.tar` into; None: the working folder. Gzipped when
            it ends in `.gz` or `.tgz`; an existing file is replaced when the new one is whole.
        on_progress: called with the bytes done and the bytes in all.

    Raises:
        NotFoundError: no such bundle.
        IntegrityError: the bundle is damaged; no file is left.
        StoreError: the file cannot be written.
    """
    bundle = get(tag)
    target = archive_path(path if path is not None else Path(), bundle.tag)
    return write_archive(
        bundle.path, BUNDLE_FILE, bundle.info.files, target, on_progress, beside=SIGNATURES_FILE
    )


def import_(path: str | Path, *, on_progress: BytesProgress | None = None) -> Bundle:
    """Takes a bundle out of a file that `export` wrote into the store.

    Args:
        path: the file.
        on_progress: called with the bytes done and the bytes in all.

    Returns:
        The bundle; the one of the store when it is there already with the same content. It gets the
        signatures of the archive when it has none, and the same manifest.

    Raises:
        UnsafeArchiveError: the file is hostile; nothing was written.
        IntegrityError: the file is damaged; nothing was written.
        AlreadyExistsError: the store has other content under that tag.
        StoreError: the file cannot be read or the store not be written.
    """
    source = Path(path)
    store = bundle_store()
    found: builtins.list[BundleInfo] = []

    def parse(manifest: bytes) -> builtins.list[FileEntry]:
        info = parse_manifest(source, manifest)
        found.append(info)
        return info.files

    with store.begin() as draft:
        read_archive(source, BUNDLE_FILE, draft.folder, parse, on_progress, beside=SIGNATURES_FILE)
        read_signatures(draft.folder)
        (info,) = found
        try:
            return _open(draft.commit(info.name, info.version, finish=lambda _: None))
        except AlreadyExistsError:
            present = get(Tag(info.name, info.version))
            if present.info.digest != info.digest:
                raise
            _take_signatures(draft.folder, present.path)
            return present


def verify(tag: str | Tag, *, on_progress: BytesProgress | None = None) -> builtins.list[Damage]:
    """Rehashes every file of a bundle on all cores.

    Args:
        tag: as for `get`.
        on_progress: called with the bytes done and the bytes in all.

    Returns:
        Every changed, missing and unlisted file; empty when the bundle is whole.

    Raises:
        NotFoundError: no such bundle.
        IntegrityError: its manifest is damaged.
    """
    return _verify.verify(bundle_store().path(tag), on_progress=on_progress)


def parse_manifest(source: Path, manifest: bytes) -> BundleInfo:
    """The manifest of an archive, checked against itself.

    Raises:
        IntegrityError: it is damaged or was edited.
    """
    try:
        text = manifest.decode()
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{source}: {BUNDLE_FILE} is not text: {error}") from error
    info = load_yaml(source / BUNDLE_FILE, BundleInfo, text=text)
    check_bundle(info, source / BUNDLE_FILE)
    return info


def _take_signatures(source: Path, present: Path) -> None:
    """What was signed after it was carried here the first time; signatures that are here stay."""
    new, old = source / SIGNATURES_FILE, present / SIGNATURES_FILE
    same = (source / BUNDLE_FILE).read_bytes() == (present / BUNDLE_FILE).read_bytes()
    if same and new.exists() and not old.exists():
        new.chmod(0o444)
        new.rename(old)


def _open(folder: Path) -> Bundle:
    info = read_bundle(folder)
    return Bundle(Tag(info.name, info.version), info, folder)
