"""API and worker containers of one image, found by name on a network of the engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from boxes import Box, ask
from built_image import Built, Make
from callers import Callers

from tiffin.bundler import bundles

FLOWERS = {"flowers": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}
NAMES = ["setosa", "virginica"]
LIMIT_S = 120.0


@pytest.fixture(scope="module")
def image(make: Make, docker: str, iris_bundle: bundles.Bundle) -> Built:
    return make(docker, iris_bundle)


@pytest.fixture
def network(docker: str) -> Iterator[str]:
    name = ask(docker, "network", "create", f"tiffin-roles-{time.time_ns()}")
    yield name
    ask(docker, "network", "rm", name)


def workers(box: Box, number: int) -> None:
    """Until an API container is connected to so many."""
    end = time.monotonic() + LIMIT_S
    runners: dict[str, Any] = {}
    while [one["workers"] for one in runners.values()] != [number]:
        assert time.monotonic() < end, box.logs()
        time.sleep(0.2)
        runners = httpx.get(f"{box.url}/readyz", timeout=30).json()["runners"]


def test_a_worker_container_is_killed_and_replaced_under_load(image: Built, network: str) -> None:
    def box(role: str, *more: str) -> Box:
        token = ("--env", "TIFFIN_TOKEN=a secret that is long enough", "--network", network)
        hard = ("--read-only", "--tmpfs", "/tmp", "--user", "12345:0")
        return Box(image.program, image.name, role, options=[*token, *hard, *more])

    forest = ("--network-alias", "forest")
    with ExitStack() as stack:
        one, two = (stack.enter_context(box("worker", *forest)) for _ in range(2))
        web = stack.enter_context(box("api", "--env", "TIFFIN_WORKERS_AT=dns:forest:7000"))
        for each in (one, two, web):
            each.wait_until_ready()
        assert web.post("/classify", FLOWERS).json() == NAMES
        assert one.run("python -m tiffin.runtime.healthcheck && echo healthy").endswith("healthy")
        workers(web, 2)
        with Callers(f"{web.url}/classify", lambda _: (FLOWERS, NAMES), number=4, limit_s=LIMIT_S) as callers:
            callers.more()
            ask(image.program, "kill", one.id)
            callers.more()
            three = stack.enter_context(box("worker", *forest))
            three.wait_until_ready()
            workers(web, 2)
            assert two.stop(60)[0] == 0
            callers.more()
        assert set(callers.answers) == {"right"}, callers.answers
