"""An image of a bundle, run as clouds run it."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
from boxes import Box
from built_image import Built, Make, plain_build

from tiffin.bundler import bundles

FLOWERS = {"flowers": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}
HARD = ["--read-only", "--tmpfs", "/tmp", "--user", "12345", "--cap-drop", "ALL"]


def test_any_user_and_a_root_that_cannot_be_written(iris_image: Built) -> None:
    with Box(iris_image.program, iris_image.name, options=HARD) as box:
        box.wait_until_ready()
        assert box.post("/classify", FLOWERS).json() == ["setosa", "virginica"]
        assert box.run("id -u") == "12345"
        assert box.run("touch /bundle/x 2>&1 || true").endswith("Read-only file system")
        for page in ("/", "/docs", "/metrics", "/livez"):
            assert httpx.get(f"{box.url}{page}", timeout=30).status_code == 200


def test_sigterm_lets_requests_finish(iris_image: Built) -> None:
    answers: list[httpx.Response] = []
    with Box(iris_image.program, iris_image.name) as box:
        box.wait_until_ready()
        began = threading.Event()

        def ask() -> None:
            began.set()
            answers.append(box.post("/slow", {"seconds": 4}))

        asking = threading.Thread(target=ask)
        asking.start()
        began.wait()
        while '"in_flight":1' not in httpx.get(f"{box.url}/readyz", timeout=30).text:
            pass
        code, seconds = box.stop(60)
        asking.join()
        assert [(answer.status_code, answer.json()) for answer in answers] == [(200, "done")]
        assert code == 0
        assert seconds < 45, "it was not killed, and did not wait for nothing"
        assert "stopped" in box.logs()


def test_serve_is_what_sagemaker_says(iris_image: Built) -> None:
    with Box(iris_image.program, iris_image.name, "serve", port=8080) as box:
        box.wait_until_ready("/ping")
        # The service has several apis, so the caller names one.
        header = {"x-amzn-sagemaker-custom-attributes": "api=classify"}
        answer = httpx.post(f"{box.url}/invocations", json=FLOWERS, headers=header, timeout=30)
        assert (answer.status_code, answer.json()) == (200, ["setosa", "virginica"])


def test_health_is_asked_without_a_shell_or_curl(iris_image: Built) -> None:
    with Box(iris_image.program, iris_image.name) as box:
        box.wait_until_ready()
        assert box.run("python -m tiffin.runtime.healthcheck && echo healthy").endswith("healthy")


def test_nothing_that_only_builds_is_in_it(iris_image: Built) -> None:
    with Box(iris_image.program, iris_image.name, "1000", options=["--entrypoint", "sleep"]) as box:
        tools = "for tool in gcc cc g++ make git uv cargo; do command -v $tool; done; true"
        assert box.run(tools) == ""
        # The base's own Python has wheels to install pip from, and its stand-in has some in /opt/wheels.
        named = r"find / -xdev -type f \( -name '*.whl' -o -path '*/.cache/*' -o -path '*/apt/lists/*' \)"
        left = box.run(f"{named} ! -path '*/ensurepip/*' 2>/dev/null; true").splitlines()
        assert {path.rpartition("/")[0] for path in left} <= {"/opt/wheels", "/bundle/env/python/wheels"}


def test_a_plain_build_of_an_exported_bundle(
    engine: str, make: Make, iris_bundle: bundles.Bundle, tmp_path: Path
) -> None:
    """No command of tiffin: its own Dockerfile, in the folder of its unpacked archive, and from that."""
    built = make(engine, iris_bundle)  # the images that it builds on are there, and its packages
    name = "tiffin-test/plain:1"
    with plain_build(engine, iris_bundle, name, tmp_path), Box(built.program, name) as box:
        box.wait_until_ready()
        assert box.post("/classify", FLOWERS).status_code == httpx.codes.OK
    (tmp_path / "archive").mkdir()
    asleep = ["--entrypoint", "sleep"]
    with (
        plain_build(engine, iris_bundle, name, tmp_path / "archive", from_archive=True),
        Box(built.program, name, "1000", options=asleep) as box,
    ):
        manifest = (iris_bundle.path / "bundle.yaml").read_text()
        assert box.run("cat /bundle/bundle.yaml") == manifest.strip()
