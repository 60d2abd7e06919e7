"""What BuildKit prints while it builds: `--progress=plain`, and `--progress=rawjson` of buildx 0.13 on.

A line of rawjson is what BuildKit's own client gets, its `SolveStatus`:
https://pkg.go.dev/github.com/moby/buildkit/client#SolveStatus
"""

from __future__ import annotations

import re

import msgspec

from .steps import Steps

_LINE = re.compile(r"^#(?P<step>\d+) (?P<text>.*)$")
_LOG = re.compile(r"^\d+\.\d+ (?P<text>.*)$")
_NOISE = re.compile(r"^sha256:[0-9a-f]{64}")


class PlainLog:
    """`#7 [builder 2/4] RUN …`, `#7 0.304 what it prints`, `#7 DONE 0.1s`, `#7 CACHED`, `#7 ERROR: …`"""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def __call__(self, line: str) -> None:
        found = _LINE.match(line)
        if not found:
            if line.strip():
                self._steps.other.append(line)
            return
        key, text = found["step"], found["text"]
        if key not in self._steps.steps:
            self._steps.begin(key, text)
        elif text.startswith("DONE "):
            self._steps.end(key)
        elif text == "CACHED":
            self._steps.end(key, cached=True)
        elif text.startswith("ERROR: "):
            self._steps.end(key, error=text.removeprefix("ERROR: "))
        elif log := _LOG.match(text):
            self._steps.line(key, log["text"])
        elif not _NOISE.match(text):
            self._steps.line(key, text)


class _Vertex(msgspec.Struct):
    digest: str = ""
    name: str = ""
    started: str | None = None
    completed: str | None = None
    cached: bool = False
    error: str = ""


class _Log(msgspec.Struct):
    vertex: str = ""
    data: bytes = b""
    """In base64."""


class _Status(msgspec.Struct):
    vertexes: list[_Vertex] = []
    logs: list[_Log] = []


class RawJsonLog:
    """A JSON document a line."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._decode = msgspec.json.Decoder(_Status).decode
        self._rest: dict[str, str] = {}

    def __call__(self, line: str) -> None:
        try:
            status = self._decode(line)
        except msgspec.DecodeError:
            if line.strip():  # the client's own words: `ERROR: failed to solve: …`
                self._steps.other.append(line)
            return
        for vertex in status.vertexes:
            if vertex.started:
                self._steps.begin(vertex.digest, vertex.name)
            if vertex.error:
                self._steps.end(vertex.digest, error=vertex.error)
            elif vertex.completed:
                self._steps.end(vertex.digest, cached=vertex.cached)
        for log in status.logs:
            *whole, rest = (self._rest.pop(log.vertex, "") + log.data.decode(errors="replace")).split("\n")
            for text in whole:
                self._steps.line(log.vertex, text)
            self._rest[log.vertex] = rest
