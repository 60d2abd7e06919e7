"""Which images a Dockerfile takes, and what stands in for them; no engine is needed."""

from __future__ import annotations

import sys

import pytest
from stand_ins import CannotStandInError, full_name, images_of, maker_of

DOCKERFILE = """\
# FROM nothing: a comment
FROM --platform=linux/amd64 nvidia/cuda:12.8.1-base-ubuntu24.04 AS builder
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /usr/local/bin/uv
FROM builder AS dependencies
RUN --mount=type=bind,from=busybox:1,target=/b true
FROM scratch AS nothing
FROM python:3.11-slim
COPY --link --chown=0:0 --from=dependencies /out/ /
"""


def test_images_of_a_dockerfile() -> None:
    assert images_of(DOCKERFILE) == [
        "busybox:1",
        "ghcr.io/astral-sh/uv:0.13.9",
        "nvidia/cuda:12.8.1-base-ubuntu24.04",
        "python:3.11-slim",
    ]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("nvidia/cuda:12.8.1-base-ubuntu24.04", "docker.io/nvidia/cuda:12.8.1-base-ubuntu24.04"),
        ("ghcr.io/astral-sh/uv:0.13.9", "ghcr.io/astral-sh/uv:0.13.9"),
        ("localhost/x:1", "localhost/x:1"),
        ("registry:5000/x:1", "registry:5000/x:1"),
    ],
)
def test_full_name(image: str, name: str) -> None:
    assert full_name(image) == name


def test_there_is_no_stand_in_for_everything() -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert maker_of(f"python:{here}-slim") is maker_of(f"docker.io/library/python:{here}-slim-bookworm")
    with pytest.raises(CannotStandInError, match="there is no stand-in"):
        maker_of("alpine:3.20")
    with pytest.raises(CannotStandInError, match=r"run the tests with 3\.9-slim"):
        maker_of("python:3.9-slim")
