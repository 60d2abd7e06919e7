"""What buildah and podman print while they build.

[1/2] STEP 2/5: RUN uv pip sync …
what it prints
--> 81f230d540c
"""

from __future__ import annotations

import re

from .steps import Steps

_STEP = re.compile(r"^(?:\[(?P<stage>\d+/\d+)\] )?STEP (?P<step>\d+)/(?P<steps>\d+): (?P<text>.*)$")
_CACHED = re.compile(r"^--> Using cache ")
_DONE = re.compile(r"^--> [0-9a-f]{6,}|^(?:\[\d+/\d+\] )?COMMIT ")
_ERROR = re.compile(r"^Error: (?P<text>.*)$")


class BuildahLog:
    """One step after the other; a step ends where the next begins."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._now = ""

    def __call__(self, line: str) -> None:
        if found := _STEP.match(line):
            self._steps.end(self._now)
            stage = found["stage"] or "1/1"
            self._now = f"{stage} {found['step']}"
            self._steps.begin(self._now, f"[{stage} {found['step']}/{found['steps']}] {found['text']}")
        elif _CACHED.match(line):
            self._steps.end(self._now, cached=True)
        elif _DONE.match(line):
            self._steps.end(self._now)
        elif error := _ERROR.match(line):
            self._fail(error["text"])
        elif self._now:
            self._steps.line(self._now, line)
        elif line.strip():
            self._steps.other.append(line)

    def _fail(self, error: str) -> None:
        step = self._steps.steps.get(self._now)
        if step is None or step.done:
            self._steps.other.append(error)
        else:
            self._steps.end(self._now, error=error)
