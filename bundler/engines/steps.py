"""The steps of a build as an engine tells them, whichever engine it is."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from ..bar import Progress

KEPT_LINES = 20
CACHED = ", from the cache"
_PLACE = re.compile(r"^\[(?P<stage>[^\]]*?)\s*(?P<step>\d+)/(?P<steps>\d+)\]\s*(?P<text>.*)$", re.DOTALL)
_SHOWN = 70


@dataclass
class Step:
    """One instruction of a Dockerfile, or a piece of work of the engine's own."""

    name: str
    """As the engine writes it: `[builder 2/4] RUN uv pip sync …`."""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    """The last that it printed."""
    done: bool = False
    cached: bool = False
    error: str = ""

    @property
    def text(self) -> str:
        """Without its place: `RUN uv pip sync …`, on one line and not too long."""
        found = _PLACE.match(self.name)
        line = " ".join((found["text"] if found else self.name.removeprefix("[internal] ")).split())
        return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


class Steps:
    """What is known of a running build; tells it on."""

    def __init__(self, on_progress: Progress) -> None:
        self.steps: dict[str, Step] = {}
        self.other: deque[str] = deque(maxlen=KEPT_LINES)
        """Lines that belong to no step: what the engine says before the first and after the last."""
        self._tell = on_progress

    def begin(self, key: str, name: str) -> Step:
        """A step that begins, or one that is known already."""
        if key not in self.steps:
            self.steps[key] = Step(name)
            self.tell(key)
        return self.steps[key]

    def line(self, key: str, text: str) -> None:
        if key in self.steps and text.strip():
            self.steps[key].lines.append(text)

    def end(self, key: str, *, cached: bool = False, error: str = "") -> None:
        step = self.steps.get(key)
        if step is None or step.done:
            return
        step.done, step.cached, step.error = not error, cached, error
        self.tell(key)

    def tell(self, key: str) -> None:
        done, total = self.counted()
        step = self.steps[key]
        self._tell(f"{step.text}{CACHED if step.cached else ''}", done, total)

    def counted(self) -> tuple[int, int]:
        """Instructions done and in all; the engine says how many a stage has with its first one."""
        stages: dict[str, int] = {}
        done = 0
        for step in self.steps.values():
            if found := _PLACE.match(step.name):
                stages[found["stage"]] = int(found["steps"])
                done += step.done
        return done, sum(stages.values())

    @property
    def failed(self) -> Step | None:
        return next((step for step in self.steps.values() if step.error), None)
