"""What git knows of a folder: the commit, and what differs from it, without what looks like a secret."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from difflib import unified_diff
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError
from .secrets_scan import secret_in

MAX_DIFF_BYTES = 64 * 1024
"""Of the diff that is kept; whole files only."""
MAX_READ_BYTES = 8 * 1024 * 1024
"""Of the diff that git is let write."""
MAX_NOTEBOOK_BYTES = 64 * 1024 * 1024
"""Of a notebook with its outputs that is read for its code."""
MAX_NAMES = 100
_TIMEOUT_S = 10.0
_PASSWORD = re.compile(r"://[^/\s@:]{0,256}:[^/\s@{}$<>]{1,256}@[\w\[{$<]")
"""`postgres://me:secret@db/x`: of any scheme, and in examples too, since nobody asks for a diff."""
_NOTEBOOK = ".ipynb"
_SECTION = re.compile(r"^diff --git .*\n", re.MULTILINE)
_NEW_NAME = re.compile(r"^(?:\+\+\+ b|--- a)/(?P<name>[^\t\n]+)", re.MULTILINE)


def git_state(folder: Path, *, left_out: Callable[[str], bool] | None = None) -> dict[str, Any] | None:
    """Commit, and what differs from it in this folder.

    Args:
        folder: below the root of a repository, or the root.
        left_out: whether a file, by its path in the folder, is none of the bundle's: nothing of it is kept.

    Returns:
        `commit` and `dirty`; of a dirty folder `changed` (git's two letters and the name, 100 at most),
        `diff` (text against the commit, 64 KiB of whole files at most), `notebooks` (file to the diff of its
        code cells) and `left_out` (file to the reason why nothing of it is kept). None without git, without
        a repository, without a commit. No address of a remote is read: it may hold a password.
    """
    git = shutil.which("git")
    commit = _git(git, folder, "rev-parse", "HEAD") if git else None
    if git is None or not commit:
        return None
    changed = (
        _git(git, folder, "-c", "core.quotepath=off", "status", "--porcelain", "--", ".") or ""
    ).splitlines()
    found: dict[str, Any] = {"commit": commit.strip(), "dirty": bool(changed)}
    if not changed:
        return found
    found["changed"] = changed[:MAX_NAMES]
    if len(changed) > MAX_NAMES:
        found["changed"].append(f"and {len(changed) - MAX_NAMES} more")
    diff = _diff(git, folder, left_out or (lambda _: False))
    if diff.text:
        found["diff"] = diff.text
    if diff.notebooks:
        found["notebooks"] = diff.notebooks
    if diff.left_out:
        found["left_out"] = diff.left_out
    return found


def git_version() -> str:
    """`2.39.5`; empty without git."""
    git = shutil.which("git")
    return (_git(git, Path.cwd(), "--version") or "").strip().removeprefix("git version ") if git else ""


class _Diff(NamedTuple):
    text: str
    notebooks: dict[str, str]
    left_out: dict[str, str]


def _diff(git: str, folder: Path, is_left_out: Callable[[str], bool]) -> _Diff:
    names = (
        _git(git, folder, "diff", "HEAD", "--name-only", "--no-renames", "-z", "--relative", "--", ".") or ""
    )
    changed = [name for name in names.split("\0") if name]
    others = [name for name in changed if is_left_out(name)]
    notebooks = [name for name in changed if name.endswith(_NOTEBOOK) and name not in others]
    left_out = dict.fromkeys(others, "the bundle leaves it out")
    # Neither a program of the user's configuration nor a colour may change what is kept.
    command = [
        git,
        "-C",
        str(folder),
        "-c",
        "core.quotepath=off",
        "diff",
        "HEAD",
        "--no-color",
        "--no-ext-diff",
    ]
    command += ["--no-textconv", "--relative", "--src-prefix=a/", "--dst-prefix=b/", "--", "."]
    # git need not write what nobody keeps: outputs of notebooks are long. Those that are many are seen below.
    command += [f":(exclude,literal){name}" for name in [*notebooks, *others][:MAX_NAMES]]
    raw, whole = _read(command, MAX_READ_BYTES)
    text = raw.decode("utf-8", "replace")
    starts = [match.start() for match in _SECTION.finditer(text)]
    sections = [text[start:end] for start, end in pairwise([*starts, len(text)])]
    kept: list[str] = []
    room = MAX_DIFF_BYTES
    for place, section in enumerate(sections):
        name = _name(section)
        size = len(section.encode())
        if is_left_out(name) or name.endswith(_NOTEBOOK):
            continue  # named by then; there were too many to tell git
        if not whole and place == len(sections) - 1:
            left_out[name] = f"the diff has more than {MAX_READ_BYTES} bytes; this file and those after it"
        elif what := _secret(folder, name, section):
            left_out[name] = f"looks like a secret: {what}"
        elif size > room:
            left_out[name] = f"its {size} bytes are too many: {MAX_DIFF_BYTES} are kept in all"
        else:
            kept.append(section)
            room -= size
    cells: dict[str, str] = {}
    for name in notebooks:
        text, why = _cells_diff(git, folder, name)
        if why or len(text.encode()) > room:
            left_out[name] = why or f"its code has too many bytes: {MAX_DIFF_BYTES} are kept in all"
        elif text:
            cells[name] = text
            room -= len(text.encode())
    if len(left_out) > MAX_NAMES:
        left_out = {**dict(list(left_out.items())[:MAX_NAMES]), "…": f"{len(left_out) - MAX_NAMES} more"}
    return _Diff("".join(kept), cells, left_out)


def _cells_diff(git: str, folder: Path, name: str) -> tuple[str, str]:
    """What differs in the code cells of a notebook, and why nothing is kept; one of the two is empty.

    Outputs show data, and often what nobody meant to give away.
    """
    command = [git, "-C", str(folder), "cat-file", "blob", f"HEAD:./{name}"]
    before, whole = _read(command, MAX_NOTEBOOK_BYTES)
    path = folder / name
    try:
        now = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"
    if len(now) > MAX_NOTEBOOK_BYTES or len(before) >= MAX_NOTEBOOK_BYTES:
        return "", f"it has more than {MAX_NOTEBOOK_BYTES} bytes"
    try:
        old, new = (_code(data, path) if data else [] for data in (before if whole else b"", now))
    except ConfigError:
        return "", "no notebook in Python"
    texts = ("\n".join(old), "\n".join(new))
    for text in texts:
        if what := secret_in(name, text.encode()) or (_PASSWORD.search(text) and "password in an address"):
            return "", f"looks like a secret: {what}"
    lines = unified_diff(old, new, f"a/{name}", f"b/{name}", lineterm="")
    return "".join(f"{line}\n" for line in lines), ""


def _code(data: bytes, path: Path) -> list[str]:
    """Lines of the code cells, as scripts with cells are written: https://jupytext.readthedocs.io."""
    from .capture.notebook import cells_of

    return [line for cell in cells_of(data, path) for line in ("# %%", *cell.source.splitlines())]


def _name(section: str) -> str:
    """The new name; of a deleted file the old one; of one that git says no more of, the whole first line."""
    names = [match["name"] for match in _NEW_NAME.finditer(section.partition("\n@@")[0])]
    return names[-1] if names else section.partition("\n")[0].removeprefix("diff --git ")


def _secret(folder: Path, name: str, section: str) -> str | None:
    """What a changed file looks like: by its name, by what the diff says of it, and by what it holds now.

    A line of the diff that is far from the word that gives it away is found in the file.
    """
    lines = [line[1:] if line[:1] in {"+", "-", " "} else line for line in section.splitlines()]
    old = [line[1:] for line in section.splitlines() if line[:1] in {"-", " "}]
    for text in (section, "\n".join(lines), "\n".join(old)):
        if what := secret_in(name, text.encode()):
            return what
        if _PASSWORD.search(text):
            return "password in an address"
    path = folder / name
    try:
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                return secret_in(name, file.read(1 << 20))
    except OSError:  # it may not be read, so nothing of it was in the diff
        return "a file that may not be read"
    return None


def _read(command: list[str], most: int) -> tuple[bytes, bool]:
    """The first `most` bytes of what a command writes, and whether that is all and it ended well."""
    with subprocess.Popen(
        command,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        timer = threading.Timer(_TIMEOUT_S, process.kill)
        timer.start()
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            data = process.stdout.read(most + 1)
            if len(data) > most:
                process.kill()
        finally:
            timer.cancel()
    return data[:most], process.returncode == 0 and len(data) <= most


def _git(git: str, folder: Path, *arguments: str) -> str | None:
    """Output of a git command; None when it fails: no repository, no commit yet."""
    try:
        done = subprocess.run(
            [git, "-C", str(folder), *arguments],
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.rstrip("\n") if done.returncode == 0 else None
