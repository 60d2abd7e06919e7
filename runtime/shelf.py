"""The reading side of a store, of models or of bundles: `<root>/<name>/<version>/<file>`.

A version appears whole or not at all (`bundler/store.py` renames it into place): nothing here takes a lock.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from ..errors import InvalidTagError, NotFoundError, StoreError
from .tag import Tag

PREFIX_CHARS = 6
"""Shortest beginning of a version that may stand for it."""


class Shelf:
    """A folder of named, versioned folders.

    Args:
        root: the folder; it need not exist.
        file: the manifest that every version holds, `model.yaml`.
        noun: what the versions are, for messages.
    """

    def __init__(self, root: Path, file: str) -> None:
        self.root = root
        self.file = file
        self.noun = file.partition(".")[0]

    def names(self) -> list[str]:
        """Names with at least one version, sorted.

        Raises:
            StoreError: a file is in the way.
        """
        return [name for name in self._folders(self.root) if self.versions(name)]

    def versions(self, name: str) -> list[str]:
        """Versions of one name, oldest first; the last is `latest`.

        Raises:
            StoreError: a file is in the way.
        """
        folder = self.root / Tag(name).name
        return [version for version in self._folders(folder) if (folder / version / self.file).is_file()]

    def resolve(self, tag: str | Tag) -> Tag:
        """The tag with its full version: `latest`, or a beginning of at least 6 characters, made exact.

        Raises:
            NotFoundError: names the nearest that exists.
            InvalidTagError: the tag breaks the grammar or its version fits several.
            StoreError: a file is in the way.
        """
        wanted = Tag.parse(tag) if isinstance(tag, str) else tag
        versions = self.versions(wanted.name)
        if not versions:
            raise NotFoundError(self._no_name(wanted))
        if wanted.is_latest:
            return Tag(wanted.name, versions[-1])
        if wanted.version in versions:
            return wanted
        fits = [version for version in versions if version.startswith(wanted.version)]
        if len(fits) > 1 and len(wanted.version) >= PREFIX_CHARS:
            raise InvalidTagError(
                f"{wanted} could be any of {', '.join(fits[-5:])}: give more of the version"
            )
        if len(fits) == 1 and len(wanted.version) >= PREFIX_CHARS:
            return Tag(wanted.name, fits[0])
        raise NotFoundError(
            f"no {self.noun} {wanted} in {self.root}; {wanted.name} has {', '.join(reversed(versions[-5:]))}"
            + (f" and {len(versions) - 5} older ones" if len(versions) > 5 else "")
        )

    def path(self, tag: str | Tag) -> Path:
        """Folder of the version that `resolve` finds."""
        found = self.resolve(tag)
        return self.root / found.name / found.version

    def _no_name(self, wanted: Tag) -> str:
        names = self.names()
        near = difflib.get_close_matches(wanted.name, names, n=1)
        if near:
            return f"no {self.noun} {wanted.name!r} in {self.root}; did you mean {near[0]!r}?"
        if names:
            return f"no {self.noun} {wanted.name!r} in {self.root}; there are: {', '.join(names[:10])}"
        return f"no {self.noun} {wanted.name!r}: {self.root} holds no {self.noun}s"

    def _folders(self, folder: Path) -> list[str]:
        """Those whose name is a legal name or version; locks and temporary folders start with a dot."""
        try:
            with os.scandir(folder) as entries:
                return sorted(entry.name for entry in entries if _legal(entry.name) and entry.is_dir())
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            file = next((path for path in (self.root, *self.root.parents) if path.is_file()), None)
            if file is None:  # beside the folders of names
                return []
            raise StoreError(
                f"{file} is a file, and {self.noun}s are kept in a folder: take it away, or set TIFFIN_HOME "
                "to a folder"
            ) from error


def _legal(name: str) -> bool:
    try:
        Tag(name, name)
    except InvalidTagError:
        return False
    return True
