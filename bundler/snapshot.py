"""Which files of a project go into its bundle.

Patterns are those of `.gitignore` (https://git-scm.com/docs/gitignore): `include` (empty: everything), then
`exclude` and the lines of a `.bundleignore` beside the bundlefile. `.gitignore` itself is not read: weights
and data are often ignored by git and yet needed to serve. An excluded folder is never opened.
"""

from __future__ import annotations

import fnmatch
import gzip
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pathspec import GitIgnoreSpec

from ..errors import BuildError, ConfigError
from ..runtime.home import home
from ..runtime.manifest import BUNDLE_FILE, MODEL_FILE
from ..runtime.paths import paths_problem
from .archive_writing import TIMES
from .epoch import EPOCH

IGNORE_FILE = ".bundleignore"

# No bundle is better for these, whatever `include` says.
NEVER_FOLDERS = frozenset(
    {
        ".bzr",
        ".git",
        ".hg",
        ".ipynb_checkpoints",
        ".mypy_cache",
        ".nox",
        ".pytest_cache",
        ".ruff_cache",
        ".svn",
        ".tox",
        "__pycache__",
        "node_modules",
    }
)
NEVER_PATTERNS = ("*.context.tar", "*.egg-info", "*.pyc", ".DS_Store", ".git")
"""The first is what `bundle containerize` leaves where there is no engine: the bundle, and its models."""
_SHELVES = frozenset({"models", "bundles"})
_STORE_FOLDERS = _SHELVES | {"cache"}
"""Of a `TIFFIN_HOME`, which may lie in the project, be the project, and be another one today."""
_ARCHIVES = (".tar", ".tar.gz", ".tgz")
_GZIP_MAGIC = b"\x1f\x8b"
_ENVIRONMENT_MARKS = frozenset({"pyvenv.cfg", "conda-meta"})
_ALL_INSIDE = re.compile(r"/\*\*(/?)\s*$")
_SHOWN = 10


class SourceFile(NamedTuple):
    """A file that goes into the bundle."""

    path: str
    """POSIX, relative to the project."""
    source: Path
    """Where its bytes are; another place inside the project when `path` is a link."""
    size_bytes: int


def ignored_in(folder: Path) -> list[str]:
    """Lines of its `.bundleignore`."""
    ignore = folder / IGNORE_FILE
    return ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []


def list_sources(
    folder: Path, *, include: Sequence[str] = (), exclude: Sequence[str] = (), at: str = ""
) -> list[SourceFile]:
    """Walks the project.

    Args:
        folder: the project.
        include: patterns of what may go in; empty: everything.
        exclude: patterns of what is left out; `.bundleignore` adds to them.
        at: where in the bundle the folder will be, `pkg`: what paths begin with, for patterns too; then a
            `.bundleignore` in it says nothing. Empty: it is the project.

    Returns:
        The files by path. Sockets, pipes and devices are no files and are left out.

    Raises:
        BuildError: links that point out of the project, in a circle or to nothing; names that other systems
            cannot hold; nothing left.
        ConfigError: a pattern that is none.
    """
    ignored = [] if at else ignored_in(folder)
    walk = _Walk(folder, _spec(include) if include else None, _Exclude([*exclude, *ignored]))
    files = sorted(walk.files(f"{at}/" if at else ""))
    if walk.bad_links:
        raise BuildError(
            "links that cannot go into a bundle:\n"
            + _listed(f"{path} → {why}" for path, why in walk.bad_links)
            + "\nput the file itself there, or exclude the link"
        )
    if not files:
        raise BuildError(f"nothing to bundle in {folder}: every file is excluded, or there is none")
    if problem := paths_problem(file.path for file in files):
        raise BuildError(f"{problem}: rename or exclude it, a bundle must mean the same on every system")
    return files


def leaves_out(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """Whether patterns keep a file out of the bundle, told by its path alone.

    Raises:
        ConfigError: a pattern that is none.
    """
    chosen, left = _spec(include) if include else None, _Exclude(exclude)

    def out(path: str) -> bool:
        parts = path.split("/")
        for depth, name in enumerate(parts, 1):
            inside = depth < len(parts)
            if _never(name) or left.matches("/".join(parts[:depth]), inside):
                return True
        return chosen is not None and not chosen.match_file(path)

    return out


def _never(name: str) -> bool:
    return name in NEVER_FOLDERS or any(fnmatch.fnmatch(name, one) for one in NEVER_PATTERNS)


class _Walk:
    """One pass over a project; `files` fills `bad_links` on the way."""

    def __init__(self, folder: Path, include: GitIgnoreSpec | None, exclude: _Exclude) -> None:
        self.root = Path(os.path.realpath(folder))
        self.bad_links: list[tuple[str, str]] = []
        self._include = include
        self._exclude = exclude
        self._home = os.path.realpath(home())

    def files(self, prefix: str = "") -> Iterator[SourceFile]:
        names = set(os.listdir(self.root))  # noqa: PTH208 - names only
        if marks := names & _ENVIRONMENT_MARKS:
            raise BuildError(
                f"{self.root} is itself a Python environment (it has {min(marks)}): "
                "make the environment in a folder below, such as .venv"
            )
        yield from self._folder(prefix, (str(self.root),))

    def _folder(self, prefix: str, chain: tuple[str, ...]) -> Iterator[SourceFile]:
        """
        Args:
            prefix: path in the bundle, empty or ending in a slash.
            chain: real paths of this folder and of those above it, to see circles.
        """
        try:
            with os.scandir(chain[-1]) as listing:
                items = list(listing)
        except OSError as error:
            raise BuildError(f"cannot read folder {prefix or '.'}: {error.strerror}; exclude it") from error
        if prefix and any(item.name in _ENVIRONMENT_MARKS for item in items):
            return
        store = any(item.name in _SHELVES and _is_shelf(item) for item in items)
        if prefix and store:
            return
        for item in items:
            if _never(item.name) or (store and item.name in _STORE_FOLDERS):
                continue
            yield from self._item(item, prefix + item.name, chain)

    def _item(self, item: os.DirEntry[str], path: str, chain: tuple[str, ...]) -> Iterator[SourceFile]:
        is_folder = _is_folder(item)
        if self._exclude.matches(path, is_folder):
            return
        if not is_folder and self._include is not None and not self._include.match_file(path):
            return
        real = os.path.realpath(item.path) if item.is_symlink() else item.path
        if item.is_symlink() and (why := self._link_problem(real, chain)):
            self.bad_links.append((path, why))
        elif is_folder:
            if real != self._home:
                yield from self._folder(path + "/", (*chain, real))
        elif item.is_file() and not (self._include is None and _is_exported(Path(real))):
            yield SourceFile(path, Path(real), item.stat().st_size)

    def _link_problem(self, real: str, chain: tuple[str, ...]) -> str | None:
        target = Path(real)
        if not target.is_relative_to(self.root):
            return f"{real} is outside of the project"
        if not target.exists():
            return f"{real} does not exist"
        if NEVER_FOLDERS.intersection(target.relative_to(self.root).parts):
            return f"{real} never goes into a bundle"
        if real in chain:
            return f"{real} contains the link"
        return None


class _Exclude:
    """Patterns asked from the top down, as git does.

    `pathspec` takes a pattern that fits a folder for all that lies in it, so that in `*.csv`, `!keep` the
    second would let `keep/a.csv` in. Here an excluded folder is never opened, so each pattern needs to be
    compared with the entry itself only.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._patterns = [
            (pattern, self._by_name(line), bool(_ALL_INSIDE.search(line)))
            for line in lines
            for pattern in _spec([line]).patterns
            if pattern.include is not None
        ]

    def matches(self, path: str, is_folder: bool) -> bool:
        """The last pattern that fits decides."""
        parent, _, name = path.rpartition("/")
        slash = "/" if is_folder else ""
        for pattern, by_name, all_inside in reversed(self._patterns):
            if not pattern.match_file((name if by_name else path) + slash):
                continue
            if by_name or all_inside or not parent or not pattern.match_file(parent + "/"):
                return bool(pattern.include)
        return False

    @staticmethod
    def _by_name(line: str) -> bool:
        """A pattern with a slash at its beginning or in the middle is compared with the path."""
        body = line.removeprefix("!").rstrip().removesuffix("/")
        while body.startswith("**/"):
            body = body.removeprefix("**/")
        return "/" not in body


def _is_shelf(item: os.DirEntry[str]) -> bool:
    """Whether a folder is one of a store: those alone have a lock and a folder of drafts (`store.py`)."""
    try:
        return all(Path(item.path, name).exists() for name in (".lock", ".tmp"))
    except PermissionError:  # it is told when it is walked, unless it is left out
        return False


def _is_exported(path: Path) -> bool:
    """Whether it is what `bundle export` leaves where one stands: a bundle or a model, its manifest first,
    and dated as only an export is: a user's own archive may begin with a `model.yaml`, too.

    Else every bundle would hold the one before it, which holds the one before that.
    """
    if not path.name.endswith(_ARCHIVES):
        return False
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            head = (gzip.GzipFile(fileobj=file) if packed else file).read(tarfile.BLOCKSIZE)
        first = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except (OSError, EOFError, zlib.error, tarfile.HeaderError):  # none of ours
        return False
    return first.name in {BUNDLE_FILE, MODEL_FILE} and EPOCH <= first.mtime < EPOCH + TIMES


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link to itself, or a folder behind it that may not be read
        return False


def _spec(patterns: Iterable[str]) -> GitIgnoreSpec:
    # In git `data/**` is what lies in `data`, which stays open for `!data/keep`; pathspec takes `data` too.
    lines = [_ALL_INSIDE.sub(r"/*\1", line) for line in patterns]
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise ConfigError(f"bad pattern in include, exclude or {IGNORE_FILE}: {error}") from error


def _listed(lines: Iterable[str]) -> str:
    every = [f"  {line}" for line in lines]
    more = [f"  and {len(every) - _SHOWN} more"] if len(every) > _SHOWN else []
    return "\n".join(every[:_SHOWN] + more)
