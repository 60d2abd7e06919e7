"""Programs that stand in for container engines: they note how they are called and say what they are told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_SCRIPT = """\
#!{python}
import json, os, sys
from pathlib import Path

answers = json.loads(Path({answers!r}).read_text())
arguments = sys.argv[1:]
stdin = "" if os.isatty(0) else sys.stdin.buffer.read().decode("latin-1")
call = {{"arguments": arguments, "stdin": stdin}}
for place, argument in enumerate(arguments):
    if argument == "--file" and Path(arguments[place + 1]).is_file():
        call["dockerfile"] = Path(arguments[place + 1]).read_text()
with Path({calls!r}).open("a") as file:
    file.write(json.dumps(call) + "\\n")
for answer in answers:
    if arguments[: len(answer["start"])] == answer["start"]:
        for option, text in answer["files"].items():
            Path(arguments[arguments.index(option) + 1]).write_text(text)
        sys.stdout.write(answer["stdout"])
        sys.stderr.write(answer["stderr"])
        sys.exit(answer["code"])
sys.exit("not told what to say to " + " ".join(arguments))
"""


class FakeProgram:
    """An executable in a folder of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / name
        self._answers = folder / f"{name}.answers"
        self._calls = folder / f"{name}.calls"
        self._told: list[dict[str, object]] = []
        self._answers.write_text("[]")
        self._calls.write_text("")
        text = _SCRIPT.format(python=sys.executable, answers=str(self._answers), calls=str(self._calls))
        self.path.write_text(text)
        self.path.chmod(0o755)

    def say(
        self,
        *start: str,
        stdout: str = "",
        stderr: str = "",
        code: int = 0,
        files: dict[str, str] | None = None,
    ) -> None:
        """What to answer to arguments that begin like this; `files`: option to text for the file it names."""
        told = {"start": start, "stdout": stdout, "stderr": stderr, "code": code, "files": files or {}}
        self._told.insert(0, told)
        self._answers.write_text(json.dumps(self._told))

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._calls.read_text().splitlines()]

    def arguments(self, *start: str) -> list[str]:
        """Of the last call that began like this."""
        found: list[list[str]] = [call["arguments"] for call in self.calls]
        return next(each for each in reversed(found) if tuple(each[: len(start)]) == start)
