"""What engines print, as the steps of a build."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from tiffin.bundler.engines.buildah_log import BuildahLog
from tiffin.bundler.engines.buildkit_log import PlainLog, RawJsonLog
from tiffin.bundler.engines.causes import advice, explain
from tiffin.bundler.engines.steps import Steps

# What docker 20.10 printed for a Dockerfile of two stages.
PLAIN = """\
#1 [internal] load build definition from Dockerfile
#1 sha256:136b4c23e394b9b4b78c3873501042f20c6478d19b262d8388171fc9240340fa
#1 transferring dockerfile: 270B done
#1 DONE 0.0s

#4 [builder 1/3] FROM docker.io/library/python:3.11-slim
#4 CACHED

#5 [builder 2/3] RUN --mount=type=cache,target=/c echo hi
#5 sha256:7dcd45c16c38e723b545dcc0c99cd3861fad1b264cf1020226da75bdd17580ac
#5 0.651 hi
#5 DONE 1.1s

#6 [stage-1 2/2] COPY --chown=10001:0 --from=b /x /x
#6 DONE 0.0s

#7 exporting to image
#7 exporting layers done
#7 DONE 0.0s
"""
BUILDAH = """\
[1/2] STEP 1/2: FROM python:3.11-slim AS b
[1/2] STEP 2/2: RUN echo hi
hi
--> 81f230d540c
[2/2] STEP 1/3: FROM python:3.11-slim
[2/2] STEP 2/3: COPY --from=b /x /x
--> Using cache 81f230d540c0ac9acfda5750453ae442dbe31a68f4256bda281990e480824119
--> 81f230d540c
[2/2] STEP 3/3: STOPSIGNAL SIGTERM
[2/2] COMMIT tiffin-eng/t
Getting image source signatures
"""


class Told:
    """Progress as a user sees it."""

    def __init__(self) -> None:
        self.last: tuple[str, int, int] = ("", 0, 0)
        self.texts: list[str] = []

    def __call__(self, text: str, done: int, total: int) -> None:
        self.last = (text, done, total)
        if text not in self.texts:
            self.texts.append(text)


def read(log: Callable[[Steps], Callable[[str], None]], text: str) -> tuple[Steps, Told]:
    told = Told()
    steps = Steps(told)
    feed = log(steps)
    for line in text.splitlines():
        feed(line)
    return steps, told


def test_plain() -> None:
    steps, told = read(PlainLog, PLAIN)
    assert steps.failed is None
    assert told.texts == [
        "load build definition from Dockerfile",
        "FROM docker.io/library/python:3.11-slim",
        "FROM docker.io/library/python:3.11-slim, from the cache",
        "RUN --mount=type=cache,target=/c echo hi",
        "COPY --chown=10001:0 --from=b /x /x",
        "exporting to image",
    ]
    assert told.last == ("exporting to image", 3, 5)
    assert [step.cached for step in steps.steps.values()] == [False, True, False, False, False]
    assert list(steps.steps["5"].lines) == ["hi"]


def test_buildah() -> None:
    steps, told = read(BuildahLog, BUILDAH)
    assert steps.failed is None
    assert told.last == ("STOPSIGNAL SIGTERM", 5, 5)
    assert list(steps.steps["1/2 2"].lines) == ["hi"]
    assert [step.cached for step in steps.steps.values()] == [False, False, False, True, False]


def rawjson(**status: object) -> str:
    return json.dumps(status) + "\n"


def test_rawjson() -> None:
    began = "2024-05-01T12:34:56.789Z"
    name = "[builder 2/3] RUN uv pip sync lock"

    def log(data: str) -> str:
        return rawjson(
            logs=[{"vertex": "sha256:1", "stream": 1, "data": base64.b64encode(data.encode()).decode()}]
        )

    text = (
        rawjson(vertexes=[{"digest": "sha256:1", "name": name}])
        + rawjson(vertexes=[{"digest": "sha256:1", "name": name, "started": began}])
        + rawjson(statuses=[{"id": "extract", "vertex": "sha256:1", "current": 1, "total": 2}])
        + log("Resolved 3 pack")
        + log("ages\nhalf a line")
        + rawjson(vertexes=[{"digest": "sha256:1", "name": name, "started": began, "completed": began}])
        + rawjson(
            vertexes=[
                {
                    "digest": "sha256:2",
                    "name": "[3/3] COPY a b",
                    "started": began,
                    "completed": began,
                    "cached": True,
                }
            ]
        )
    )
    steps, told = read(RawJsonLog, text)
    assert list(steps.steps["sha256:1"].lines) == ["Resolved 3 packages"]
    assert steps.steps["sha256:2"].cached
    assert told.texts == ["RUN uv pip sync lock", "COPY a b", "COPY a b, from the cache"]
    assert told.last == ("COPY a b, from the cache", 2, 6)


def test_rawjson_of_a_step_that_fails() -> None:
    text = (
        rawjson(
            vertexes=[
                {
                    "digest": "sha256:1",
                    "name": "[2/3] RUN false",
                    "started": "2024-05-01T12:34:56.789Z",
                    "error": 'process "/bin/sh -c false" did not complete successfully: exit code: 1',
                }
            ]
        )
        + "ERROR: failed to solve\n"
    )
    steps, _ = read(RawJsonLog, text)
    assert steps.failed is not None
    assert steps.failed.text == "RUN false"
    assert list(steps.other) == ["ERROR: failed to solve"]
    assert "did not complete successfully" in explain("docker", steps, 1)


FAILED_PLAIN = """\
#8 [dependencies 3/3] RUN set -eu; uv pip sync --require-hashes requirements.lock
#8 0.304 {line}
#8 ERROR: executor failed running [/bin/sh -c set -eu]: exit code: 1
------
 > [dependencies 3/3] RUN set -eu; uv pip sync --require-hashes requirements.lock:
------
executor failed running [/bin/sh -c set -eu]: exit code: 1
"""
FAILED_BUILDAH = """\
[1/2] STEP 2/2: RUN uv pip sync --require-hashes requirements.lock
{line}
Error: building at STEP "RUN uv pip sync": while running runtime: exit status 1
"""
KNOWN = {
    "error: Failed to fetch: dns error: failed to lookup address information": "--network host",
    "error: client error (Connect): invalid peer certificate: UnknownIssuer": "--secret id=ca",
    "× Hash mismatch for six==1.17.0": "bundle build",
    "No solution found when resolving dependencies": "requirements",
    "E: Unable to locate package libnope": "system_packages",
    "write /var/lib/x: no space left on device": "disk is full",
    "error: HTTP status client error (401 Unauthorized) for url (https://x)": "netrc",
    "exec /bin/sh: exec format error": "another processor",
}


@pytest.mark.parametrize("log", [PlainLog, BuildahLog])
@pytest.mark.parametrize("line", KNOWN)
def test_a_failing_step_says_its_last_lines_and_what_to_change(
    log: Callable[[Steps], Callable[[str], None]], line: str
) -> None:
    text = (FAILED_PLAIN if log is PlainLog else FAILED_BUILDAH).format(line=line)
    steps, _ = read(log, text)
    message = explain("docker", steps, 1)
    first, second, *_ = message.splitlines()
    assert first.startswith("docker could not build the image: 'RUN ")
    assert first.endswith(" failed")
    assert second == f"  {line}"
    assert KNOWN[line] in message.splitlines()[-1]


def test_passwords_in_addresses_are_not_shown() -> None:
    steps, _ = read(
        PlainLog, FAILED_PLAIN.format(line="cannot reach https://me:geheim@index.example.com/simple")
    )
    message = explain("docker", steps, 1)
    assert "geheim" not in message
    assert "https://***@index.example.com/simple" in message


def test_a_build_that_fails_before_its_first_step() -> None:
    steps, _ = read(PlainLog, "failed to solve: dockerfile parse error line 4: Unknown flag: link\n")
    message = explain("docker", steps, 1)
    assert "exit code 1\n  failed to solve" in message
    assert "too old" in message


def test_a_long_line_is_cut_in_its_middle() -> None:
    line = f"storing: {'x' * 5000}: no space left on device"
    steps, _ = read(PlainLog, FAILED_PLAIN.format(line=line))
    shown = explain("docker", steps, 1).splitlines()
    assert shown[1].startswith("  storing: xxx")
    assert shown[1].endswith(": no space left on device")
    assert len(shown[1]) < 350
    assert "the disk is full" in shown[-1]


def test_an_engine_that_dies() -> None:
    steps, _ = read(BuildahLog, "STEP 1/2: FROM python:3.11-slim\n")
    assert "it was ended by SIGKILL" in explain("podman", steps, -9)
    assert "most likely for its memory" in explain("podman", steps, -9)
    steps, _ = read(PlainLog, "error reading from server: EOF\n")
    assert "the engine ended while it built" in explain("docker", steps, 1)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ConnectionResetError(104, 'Connection reset by peer')", "has no network, or lost it"),
        ("read unix @->/run/docker.sock: read: connection reset by peer", "the engine ended"),
        ("tar: Unexpected EOF in archive", ""),
        ("error: bloom-filter is in no room", ""),
        ("cc1: out of memory: OOM killed", "for its memory"),
    ],
)
def test_words_that_several_causes_share(line: str, told: str) -> None:
    assert told in (said := advice([line]))
    assert bool(told) == bool(said)


def test_a_base_that_does_not_exist() -> None:
    text = (
        "#3 [internal] load metadata for docker.io/library/nope:1\n"
        "#3 ERROR: docker.io/library/nope:1: not found\n"
        "failed to solve: pull access denied, repository does not exist\n"
    )
    steps, _ = read(PlainLog, text)
    assert "base image was not found" in explain("docker", steps, 1)
