"""`bundle-serve` in places that pose as the platforms."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
from entry_server import EntryServer, environment
from lambda_runtime import LambdaRuntime
from ports import kept_port

SERVICE = '''
import os
import time

import numpy as np
import tiffin
from jaxtyping import Float64


class Doubler:
    @tiffin.batch(max_size=64)
    def double(self, x: np.ndarray) -> np.ndarray:
        return x * 2

    def pid(self) -> int:
        return os.getpid()


@tiffin.service
class Twice:
    """Doubles numbers."""

    doubler = tiffin.runner(Doubler)

    @tiffin.api
    async def twice(
        self, x: Float64[np.ndarray, "n"], wait_s: float = 0.0, copies: int = 1
    ) -> Float64[np.ndarray, "m"]:
        end = time.monotonic() + wait_s
        import asyncio

        while time.monotonic() < end:
            await asyncio.sleep(0.01)
        return np.tile(await self.doubler.double(x), copies)
'''
BROKEN = """
import tiffin


class Broken:
    def __init__(self) -> None:
        raise ValueError("no such weights")

    def call(self) -> int: ...


@tiffin.service
class Never:
    runner = tiffin.runner(Broken)

    @tiffin.api
    async def call(self) -> int:
        return await self.runner.call()
"""


def built(folder: Path, source: str) -> Path:
    (folder / "project").mkdir()
    (folder / "project" / "service.py").write_text(source)
    command = [sys.executable, "-m", "tiffin", "build", str(folder / "project"), "--no-lock", "--name", "it"]
    environ = {**os.environ, "TIFFIN_HOME": str(folder / "home")}
    subprocess.run(command, check=True, capture_output=True, env=environ)
    return next((folder / "home" / "bundles" / "it").iterdir())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("bundle"), SERVICE)


@pytest.fixture
def asking() -> Iterator[Callable[[httpx.Client], httpx.Client]]:
    """Closes clients at the end."""
    with ExitStack() as stack:
        yield stack.enter_context


def test_sagemaker(bundle: Path, asking: Callable[[httpx.Client], httpx.Client]) -> None:
    with kept_port() as port, EntryServer(bundle, "serve", SAGEMAKER_BIND_TO_PORT=str(port)) as server:
        assert server.ready().url == f"http://127.0.0.1:{port}"
        assert server.said("Amazon SageMaker (told by SAGEMAKER_BIND_TO_PORT)")
        ask = asking(httpx.Client(base_url=server.url))
        assert ask.get("/ping").status_code == 200
        assert ask.get("/execution-parameters").json()["BatchStrategy"] == "SINGLE_RECORD"
        for _ in range(3):  # the second and third time on the short way
            assert ask.post("/invocations", json={"x": [1, 2]}).json() == [2, 4]
        body = io.BytesIO()
        np.save(body, np.arange(3.0))
        packed = {"content-type": "application/x-npy", "accept": "application/x-npy"}
        answer = ask.post("/invocations", content=body.getvalue(), headers=packed)
        assert np.load(io.BytesIO(answer.content)).tolist() == [0, 2, 4]
        assert server.stop() == 0
        assert server.said("stopping: requests in hand have 25 s")
        assert all("ts" in line for line in server.lines), "every line of the log is JSON"


def test_vertex_ai(bundle: Path, asking: Callable[[httpx.Client], httpx.Client]) -> None:
    routes = {"AIP_HEALTH_ROUTE": "/", "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict"}
    with (
        kept_port() as port,
        EntryServer(bundle, AIP_HTTP_PORT=str(port), PORT="1", **routes) as server,
    ):
        ask = asking(httpx.Client(base_url=server.ready().url))
        assert server.url.endswith(f":{port}")
        assert ask.get("/").json()["ready"] is True
        predict = routes["AIP_PREDICT_ROUTE"]
        answer = ask.post(predict, json={"instances": [1, {"x": 3}][:1], "parameters": {"copies": 2}})
        assert answer.json() == {"predictions": [2, 2]}
        assert ask.post(predict, json={"x": [5]}).json() == [10]
        assert ask.post(predict, json={"instances": ["a"]}).status_code == 422


ADDER = """
import tiffin


@tiffin.service
class Adder:
    adder = tiffin.runner("adder:latest")

    @tiffin.api
    async def add(self, number: int) -> dict[str, int | str]:
        return {"sum": await self.adder.predict(number), "by": self.adder.model.metadata["by"]}
"""
SAVE = """
import sys
import tiffin


class Add:
    def __init__(self, number):
        self.number = number

    def predict(self, number: int) -> int:
        return number + self.number


number = int(sys.argv[1])
saved = tiffin.models.save("adder", Add(number), methods=["predict"], example=1, metadata={"by": str(number)})
print(saved.path)
"""


def saved(folder: Path, number: int) -> Path:
    """Folder of a model that adds; one version more of `adder` in the store of `built`."""
    environ = {**os.environ, "TIFFIN_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, "-c", SAVE, str(number)], check=True, capture_output=True, text=True, env=environ
    )
    return Path(done.stdout.strip())


def test_azure_ml_with_a_newer_model(tmp_path: Path) -> None:
    saved(tmp_path, 2)
    bundle = built(tmp_path, ADDER)
    shutil.copytree(saved(tmp_path, 5), tmp_path / "azureml" / "adder" / "7")
    variables = {"AZUREML_MODEL_DIR": str(tmp_path / "azureml"), "BUNDLE_PORT": "0"}
    with EntryServer(bundle, **variables) as server:
        server.ready()
        assert server.said("takes the place of adder:")
        for route in ("score", "add"):
            answer = httpx.post(f"{server.url}/{route}", json={"number": 3})
            assert answer.json() == {"sum": 8, "by": "5"}


def test_cloud_run_drains_within_its_ten_seconds(bundle: Path) -> None:
    with (
        kept_port() as port,
        EntryServer(bundle, K_SERVICE="it", PORT=str(port), TIFFIN_LOG_FORMAT=None) as server,
    ):
        assert server.ready().url.endswith(f":{port}"), "and its log is JSON without being asked"
        assert httpx.post(f"{server.url}/twice", json={"x": [4]}).json() == [8]
        assert server.stop() == 0
        assert server.said("requests in hand have 8 s")


def test_lambda(bundle: Path) -> None:
    with (
        LambdaRuntime() as runtime,
        EntryServer(
            bundle, AWS_LAMBDA_RUNTIME_API=runtime.address, AWS_LAMBDA_FUNCTION_MEMORY_SIZE="1024"
        ) as server,
    ):
        server.wait_line("with 0.58 cores and 1024 MiB of memory")
        outcome = runtime.invoke({"x": [1, 2]})
        assert (outcome.path.rpartition("/")[2], outcome.document) == ("response", [2, 4])

        outcome = runtime.invoke({"x": "one"})
        assert outcome.path.endswith("/error")
        assert outcome.document["errorType"] == "InvalidInput"
        assert outcome.document["errorMessage"].startswith("422: ")
        assert outcome.headers["Lambda-Runtime-Function-Error-Type"] == "Runtime.InvalidInput"

        body = io.BytesIO()
        np.save(body, np.arange(3.0))
        event = {
            "version": "2.0",
            "rawPath": "/twice",
            "rawQueryString": "",
            "headers": {"content-type": "application/x-npy", "accept": "application/x-npy"},
            "requestContext": {"http": {"method": "POST"}, "stage": "$default"},
            "body": base64.b64encode(body.getvalue()).decode(),
            "isBase64Encoded": True,
        }
        told = runtime.invoke(event).document
        assert (told["statusCode"], told["isBase64Encoded"]) == (200, True)
        assert told["headers"]["x-request-id"] == "invocation-3"
        assert np.load(io.BytesIO(base64.b64decode(told["body"]))).tolist() == [0, 2, 4]

        def rest(body: dict[str, object], **headers: str) -> dict[str, object]:
            return {
                "path": "/twice",
                "httpMethod": "POST",
                "headers": {"content-type": "application/json", **headers},
                "requestContext": {"httpMethod": "POST"},
                "body": json.dumps(body),
            }

        told = runtime.invoke(rest({"x": [1], "wait_s": 20}), left_s=0.7).document
        assert told["statusCode"] == 504, "in time: Lambda would say less"
        told = runtime.invoke(rest({"x": [1], "wait_s": 20}, **{"x-request-timeout": "0.1"})).document
        assert told["statusCode"] == 504
        told = runtime.invoke(rest({"x": [0.123456789] * 1000, "copies": 1000})).document
        assert told["statusCode"] == 500
        assert "Lambda carries" in json.loads(told["body"])["detail"]
        outcome = runtime.invoke({"x": [0.123456789] * 1000, "copies": 1000})
        assert outcome.document["errorType"] == "ResponseTooLarge"

        event = {"httpMethod": "GET", "path": "/readyz", "requestContext": {"elb": {}}, "headers": {}}
        assert runtime.invoke(event).document["statusDescription"] == "200 OK"
        outcome = runtime.invoke(b"{")
        assert (outcome.path.endswith("/error"), outcome.document["errorType"]) == (True, "MalformedEvent")
        assert server.stop() == 0


def test_lambda_is_told_why_the_start_failed(tmp_path: Path) -> None:
    broken = built(tmp_path, BROKEN)
    with LambdaRuntime() as runtime, EntryServer(broken, AWS_LAMBDA_RUNTIME_API=runtime.address) as server:
        outcome = runtime.outcome()
        assert outcome.path == "init/error"
        assert "no such weights" in outcome.document["errorMessage"]
        assert server.ended() == 1
        assert not runtime.asked.is_set()


def test_the_health_check_finds_the_server_whatever_its_port(bundle: Path, tmp_path: Path) -> None:
    """Also where HOME had to be moved: both move it to the same place."""
    variables = {"BUNDLE_PORT": "0", "HOME": "/nowhere", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "tiffin.runtime.healthcheck"]
    environ = environment(bundle, variables)

    def check() -> tuple[int, str]:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=240)
        return done.returncode, done.stderr

    assert check() == (1, "no server runs in this container\n")
    with EntryServer(bundle, **variables) as server:
        server.ready()
        assert server.said(f"HOME cannot be written: using {tmp_path}/home-{os.getuid()}")
        assert check() == (0, f"ready: {server.url}\n")
        assert httpx.post(f"{server.url}/twice", json={"x": [4]}).json() == [8]


def namespaces_work() -> bool:
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "true"]
    return shutil.which("unshare") is not None and subprocess.run(command, check=False).returncode == 0


@pytest.mark.skipif(not namespaces_work(), reason="unshare cannot make namespaces here")
def test_as_the_first_process(bundle: Path) -> None:
    """It reaps what others leave behind, and a signal of the container's engine drains it."""
    first = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    with EntryServer(bundle, prefix=first, BUNDLE_PORT="0") as server:
        server.ready()
        (inner,) = (int(pid) for pid in children(server.process.pid))
        assert "NSpid:\t{}\t1".format(inner) in Path(f"/proc/{inner}/status").read_text()  # noqa: UP032
        enter = ["nsenter", "--pid", "--mount", "--target", str(inner)]
        # A process whose parent ends before it, and then ends itself.
        subprocess.run([*enter, "sh", "-c", "exec sleep 1000 & exit 0"], check=True)
        while not (orphans := [pid for pid in children(inner) if name(pid) == "sleep"]):
            time.sleep(0.01)  # the test's own time-out ends it
        os.kill(int(orphans[0]), signal.SIGKILL)
        while orphans[0] in children(inner):  # those that nobody has reaped count
            time.sleep(0.01)
        assert httpx.post(f"{server.url}/twice", json={"x": [4]}).json() == [8]
        os.kill(inner, signal.SIGTERM)
        assert server.ended() == 0


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def name(pid: str) -> str:
    """Of its program."""
    return Path(f"/proc/{pid}/comm").read_text().strip()
