"""Requirements of a BentoML project, a line each."""

from __future__ import annotations

import re
from pathlib import Path

from ...python.line import name_of
from .notes import Notes
from .options import text_of

_PASSWORD = re.compile(r"://[^/\s@]+@")
_OWN = "bentoml"


class Requirements:
    """
    Args:
        folder: of the BentoML project.
        notes: gets what was carried over and what was not.
    """

    def __init__(self, folder: Path, notes: Notes) -> None:
        self.lines: list[str] = []
        self._folder = folder
        self._notes = notes

    def add(self, line: str, where: str) -> None:
        """One requirement; options of pip and BentoML itself are none."""
        text = line.strip()
        if name_of(text) == _OWN and not text.startswith("git+"):
            self._notes.took(where, f"`{text}` is not needed any more")
        elif text.startswith("-"):
            self.index(text, where)
        elif _PASSWORD.search(text) and "git@" not in text:
            self._notes.leave(
                where, "a requirement has a password in its address: give it to uv instead (~/.netrc)"
            )
        elif text.startswith("git+"):
            repository = text.partition("@")[0].rstrip("/").rpartition("/")[2].removesuffix(".git")
            self.lines.append(f"{repository} @ {text}")
            self._notes.leave(
                where,
                f"`{text}` has no name: {repository} was taken from its address, look whether it is right",
            )
        elif text and text not in self.lines:
            self.lines.append(text)
            self._notes.took(where, f"requirement {text}")

    def index(self, text: str, where: str) -> None:
        """`--index-url https://…` and its kind."""
        if _PASSWORD.search(text):
            self._notes.leave(
                where, "an index has a password in its address: set UV_INDEX_URL where you build"
            )
        elif text.startswith(("--index-url", "--extra-index-url", "--find-links", "-i ", "-f ")):
            self.lines.insert(0, text)
            self._notes.took(where, f"`{text}` is in the requirements")
        else:
            self._notes.leave(where, f"`{text}` is an option of pip that a lock by uv does not have")

    def add_file(self, name: str, where: str) -> None:
        text = text_of(self._folder, name, "requirements file", where, self._notes) or ""
        for number, raw in enumerate(text.splitlines(), 1):
            line = re.sub(r"(?:^|\s+)#.*$", "", raw).strip()
            if line:
                self.add(line, f"{Path(name).as_posix()}:{number}")
