"""Which file names a model or bundle may hold: they mean the same on every system and never point out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

MAX_PATH_BYTES = 1024
MAX_PART_BYTES = 255

_DRIVE = re.compile(r"[A-Za-z]:")


def path_problem(path: str) -> str | None:
    """What is wrong with one relative POSIX path; None when nothing is."""
    parts = path.split("/")
    problems = (
        (not path or path.startswith("/"), "is absolute or empty"),
        (".." in parts, "points upwards"),
        ("" in parts or "." in parts, "has an empty part"),
        ("\\" in path, "has a backslash"),
        (_DRIVE.match(path), "starts with a drive letter"),
        (not path.isprintable(), "has a character that cannot be printed"),
        (_size_bytes(path) > MAX_PATH_BYTES, f"is longer than {MAX_PATH_BYTES} bytes"),
        (max(map(_size_bytes, parts)) > MAX_PART_BYTES, f"has a part of more than {MAX_PART_BYTES} bytes"),
    )
    return next((problem for found, problem in problems if found), None)


def paths_problem(paths: Iterable[str], *, reserved: str = "") -> str | None:
    """What is wrong with the files of one folder, as a sentence; None when nothing is.

    Two names that differ only in case or in how accents are composed are one file on some systems, and a name
    may not be a file and a folder at once.

    Args:
        paths: relative POSIX paths.
        reserved: a path that none of them may be: the manifest's own.
    """
    files = {_folded(reserved): reserved} if reserved else {}
    folders: dict[str, str] = {}
    for path in paths:
        if problem := path_problem(path):
            return f"{path!r} {problem}"
        key = _folded(path)
        if key in files:
            return f"{path!r} and {files[key]!r} are one file where case does not count"
        files[key] = path
        for folder in _parents(key):
            folders.setdefault(folder, path)
    clash = next((key for key in files if key in folders), None)
    return None if clash is None else f"{files[clash]!r} is a file, and a folder in {folders[clash]!r}"


def _size_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


def _parents(path: str) -> Iterator[str]:
    while (cut := path.rfind("/")) > 0:
        path = path[:cut]
        yield path
