"""What git knows of a folder: the commit, and what differs from it, without what looks like a secret."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from .secrets_scan import secret_in

MAX_DIFF_BYTES = 64 * 1024
"""Of the diff that is kept; whole files only."""
MAX_READ_BYTES = 8 * 1024 * 1024
"""Of the diff that git is let write."""
MAX_NAMES = 100
_TIMEOUT_S = 10.0
_PASSWORD = re.compile(r"://[^/\s@:]{0,256}:[^/\s@{}$<>]{1,256}@[\w\[{$<]")
"""`postgres://me:secret@db/x`: of any scheme, and in examples too, since nobody asks for a diff."""
_SECTION = re.compile(r"^diff --git .*\n", re.MULTILINE)
_NEW_NAME = re.compile(r"^(?:\+\+\+ b|--- a)/(?P<name>[^\t\n]+)", re.MULTILINE)


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit, and what differs from it in this folder.

    Args:
        folder: below the root of a repository, or the root.

    Returns:
        `commit` and `dirty`; of a dirty folder `changed` (git's two letters and the name, 100 at most),
        `diff` (text against the commit, 64 KiB of whole files at most) and `left_out` (file to the reason why
        it is not in the diff). None without git, without a repository, without a commit. No address of a
        remote is read: it may hold a password.
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
    diff = _diff(git, folder)
    if diff.text:
        found["diff"] = diff.text
    if diff.left_out:
        found["left_out"] = diff.left_out
    return found


def git_version() -> str:
    """`2.39.5`; empty without git."""
    git = shutil.which("git")
    return (_git(git, Path.cwd(), "--version") or "").strip().removeprefix("git version ") if git else ""


class _Diff(NamedTuple):
    text: str
    left_out: dict[str, str]


def _diff(git: str, folder: Path) -> _Diff:
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
    raw, whole = _read(command)
    text = raw.decode("utf-8", "replace")
    starts = [match.start() for match in _SECTION.finditer(text)]
    sections = [text[start:end] for start, end in pairwise([*starts, len(text)])]
    kept: list[str] = []
    left_out: dict[str, str] = {}
    room = MAX_DIFF_BYTES
    for place, section in enumerate(sections):
        name = _name(section)
        size = len(section.encode())
        if not whole and place == len(sections) - 1:
            left_out[name] = f"the diff has more than {MAX_READ_BYTES} bytes; this file and those after it"
        elif what := _secret(folder, name, section):
            left_out[name] = f"looks like a secret: {what}"
        elif size > room:
            left_out[name] = f"its {size} bytes are too many: {MAX_DIFF_BYTES} are kept in all"
        else:
            kept.append(section)
            room -= size
    if len(left_out) > MAX_NAMES:
        left_out = {**dict(list(left_out.items())[:MAX_NAMES]), "…": f"{len(left_out) - MAX_NAMES} more"}
    return _Diff("".join(kept), left_out)


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


def _read(command: list[str]) -> tuple[bytes, bool]:
    """The first `MAX_READ_BYTES` of what a command writes, and whether that is all."""
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
            data = process.stdout.read(MAX_READ_BYTES + 1)
            if len(data) > MAX_READ_BYTES:
                process.kill()
        finally:
            timer.cancel()
    return data[:MAX_READ_BYTES], process.returncode == 0 and len(data) <= MAX_READ_BYTES


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
