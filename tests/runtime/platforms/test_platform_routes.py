"""The routes of platforms: the same predictions and health under other paths."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from jaxtyping import Float64

import tiffin
from tiffin.errors import ConfigError
from tiffin.runtime.http.app import create_app
from tiffin.runtime.http.asgi import PredictionApp
from tiffin.runtime.http.state import ServerState
from tiffin.runtime.metrics import Metrics
from tiffin.runtime.service.service import service_info
from tiffin.runtime.supervisor.control import ServerOptions

VERTEX = {"AIP_HEALTH_ROUTE": "/health", "AIP_PREDICT_ROUTE": "/predict"}


@tiffin.service
class Single:
    @tiffin.api(max_body_bytes=5_000)
    async def double(self, x: Float64[np.ndarray, "n"], times: float = 2.0) -> Float64[np.ndarray, "n"]:
        return x * times


@tiffin.service
class Several:
    @tiffin.api
    async def predict(self, x: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
        return x + 1

    @tiffin.api
    async def shout(self, text: str) -> str:
        tiffin.request_context().response_headers["x-loud"] = "yes"
        return text.upper()

    @tiffin.api
    async def spell(self, text: str) -> AsyncIterator[str]:
        for char in text:
            yield char


def state_of(service: Any, folder: Path, platform: str, *, ready: bool = True) -> ServerState:
    info = service_info(service)
    return ServerState(
        info=info,
        spec=info.spec(),
        options=ServerOptions(access_log=False, platform=platform),
        instance=service(),
        dispatchers={},
        metrics=Metrics.open(folder, "api-0", info.name),
        run_folder=folder,
        generation=1,
        ready=ready,
    )


class Posing:
    """Asks a server that poses as a platform."""

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.app = PredictionApp(state, create_app(state))

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **options)

        return asyncio.run(main())

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self("POST", path, **options)


@pytest.fixture
def pose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(
        service: Any, platform: str, environ: Mapping[str, str] | None = None, *, ready: bool = True
    ) -> Posing:
        for name, value in (environ or {}).items():
            monkeypatch.setenv(name, value)
        return Posing(state_of(service, tmp_path, platform, ready=ready))

    return made


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


# SageMaker


def test_ping_follows_readiness(pose: Any) -> None:
    ask = pose(Single, "sagemaker", ready=False)
    assert ask("GET", "/ping").status_code == 503
    ask.state.ready = True
    answer = ask("GET", "/ping")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert ask("HEAD", "/ping").content == b""
    assert ask.post("/ping").status_code == 405


def test_invocations_take_every_body_that_the_api_takes(pose: Any) -> None:
    ask = pose(Single, "sagemaker")
    answer = ask.post("/invocations", json={"x": [1, 2]})
    assert (answer.status_code, answer.json()) == (200, [2, 4])
    packed = {"content-type": "application/x-npy", "accept": "application/x-npy"}
    answer = ask.post("/invocations", content=npy(np.arange(3.0)), headers=packed)
    assert answer.headers["content-type"] == "application/x-npy"
    assert np.load(io.BytesIO(answer.content)).tolist() == [0, 2, 4]
    answer = ask.post("/invocations", json={"x": "one"})
    assert (answer.status_code, answer.json()["path"]) == (422, "$.x")
    assert ask.post("/invocations", content=b"x", headers={"content-type": "text/x"}).status_code == 415
    assert ask.post("/invocations", json={"x": [1.5] * 5000}).status_code == 413
    assert ask("GET", "/invocations").status_code == 405
    assert ask.post("/double", json={"x": [1]}).json() == [2]


def test_invocations_are_counted_as_the_api_they_are(pose: Any) -> None:
    ask = pose(Single, "sagemaker")
    ask.post("/invocations", json={"x": [1]})
    page = ask("GET", "/metrics").text
    assert 'route="/double"' in page
    assert 'route="/invocations"' not in page


def test_several_apis_need_a_word(pose: Any) -> None:
    ask = pose(Several, "sagemaker")
    answer = ask.post("/invocations", json={"text": "a"})
    assert answer.status_code == 404
    assert "TIFFIN_INVOCATIONS_API" in answer.json()["detail"]
    assert "predict, shout, spell" in answer.json()["detail"]
    attributes = {"X-Amzn-SageMaker-Custom-Attributes": "trace=7, api=shout"}
    answer = ask.post("/invocations", json={"text": "a"}, headers=attributes)
    assert (answer.status_code, answer.json(), answer.headers["x-loud"]) == (200, "A", "yes")
    answer = ask.post(
        "/invocations", json={"text": "a"}, headers={"x-amzn-sagemaker-custom-attributes": "api=shot"}
    )
    assert (answer.status_code, "did you mean 'shout'" in answer.json()["detail"]) == (404, True)


def test_the_environment_names_the_api_and_the_header_another(pose: Any) -> None:
    ask = pose(Several, "sagemaker", {"TIFFIN_INVOCATIONS_API": "predict"})
    assert ask.post("/invocations", json={"x": [1]}).json() == [2]
    attributes = {"x-amzn-sagemaker-custom-attributes": "api=shout"}
    assert ask.post("/invocations", json={"text": "a"}, headers=attributes).json() == "A"


def test_streams_stream(pose: Any) -> None:
    ask = pose(Several, "sagemaker", {"TIFFIN_INVOCATIONS_API": "spell"})
    answer = ask.post("/invocations", json={"text": "ab"}, headers={"accept": "text/event-stream"})
    assert [line for line in answer.text.splitlines() if line.startswith("data")][:2] == [
        'data: "a"',
        'data: "b"',
    ]


def test_an_api_that_does_not_exist_ends_the_start(pose: Any) -> None:
    with pytest.raises(ConfigError, match=r"TIFFIN_INVOCATIONS_API='shot'.*did you mean 'shout'"):
        pose(Several, "sagemaker", {"TIFFIN_INVOCATIONS_API": "shot"})


def test_execution_parameters(pose: Any) -> None:
    """The requests of a batch transform hold at most 100 MB at a time."""
    assert pose(Several, "sagemaker")("GET", "/execution-parameters").json() == {
        "MaxConcurrentTransforms": 16,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": 6,
    }
    assert pose(Single, "sagemaker")("GET", "/execution-parameters").json()["MaxPayloadInMB"] == 1


def test_elsewhere_nobody_answers_these_paths(pose: Any) -> None:
    for platform in ("", "kubernetes", "cloud-run"):
        ask = pose(Single, platform)
        assert ask("GET", "/ping").json() == {"status": "Healthy"}  # TorchServe's
        assert ask.post("/invocations", json={"x": [1]}).status_code == 404


# Vertex AI


def test_instances_become_predictions(pose: Any) -> None:
    ask = pose(Single, "vertex-ai", VERTEX)
    assert ask("GET", "/health").status_code == 200
    for body, expected in [
        ({"instances": [1, 2.5]}, [2, 5]),
        ({"instances": [{"x": 1}, {"x": 3}]}, [2, 6]),
        ({"instances": [1, 2], "parameters": {"times": 10}}, [10, 20]),
        ({"instances": [1], "parameters": None}, [2]),
        ({"instances": []}, []),
    ]:
        answer = ask.post("/predict", json=body)
        assert (answer.status_code, answer.json()) == (200, {"predictions": expected}), body
        assert answer.headers["content-type"] == "application/json"
        assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_raw_body_is_the_apis_own(pose: Any) -> None:
    ask = pose(Single, "vertex-ai", VERTEX)
    assert ask.post("/predict", json={"x": [1, 2]}).json() == [2, 4]
    answer = ask.post(
        "/predict",
        content=npy(np.arange(2.0)),
        headers={"content-type": "application/x-npy", "accept": "application/x-npy"},
    )
    assert np.load(io.BytesIO(answer.content)).tolist() == [0, 2]
    assert ask.post("/predict", json=[1]).status_code == 422
    assert ask.post("/predict", content=b"{").status_code == 400


def test_the_paths_may_be_anything(pose: Any) -> None:
    """Also the front page, and the path of an api, whose plain bodies still work."""
    ask = pose(Several, "vertex-ai", {"AIP_HEALTH_ROUTE": "/", "AIP_PREDICT_ROUTE": "/predict",
                                      "TIFFIN_INVOCATIONS_API": "predict"})  # fmt: skip
    assert ask("GET", "/").json()["ready"] is True
    assert ask.post("/predict", json={"instances": [1]}).json() == {"predictions": [2]}
    assert ask.post("/predict", json={"x": [1]}).json() == [2]
    ask = pose(
        Single,
        "vertex-ai",
        {"AIP_PREDICT_ROUTE": "/v1/endpoints/7/deployedModels/8:predict", "TIFFIN_INVOCATIONS_API": ""},
    )
    assert ask.post("/v1/endpoints/7/deployedModels/8:predict", json={"instances": [1]}).json() == {
        "predictions": [2]
    }


@pytest.mark.parametrize("path", ["predict", "/predict?x=1", "/pré"])
def test_what_is_no_path_ends_the_start(pose: Any, path: str) -> None:
    with pytest.raises(ConfigError, match="AIP_PREDICT_ROUTE"):
        pose(Single, "vertex-ai", {"AIP_PREDICT_ROUTE": path})


def test_one_call_for_each_instance_of_a_single_thing(pose: Any) -> None:
    ask = pose(Several, "vertex-ai", {**VERTEX, "TIFFIN_INVOCATIONS_API": "shout"})
    answer = ask.post("/predict", json={"instances": ["a", {"text": "b"}]}, headers={"x-request-id": "me"})
    assert (answer.json(), answer.headers["x-loud"]) == ({"predictions": ["A", "B"]}, "yes")
    assert answer.headers["x-request-id"] == "me"
    assert ask.post("/predict", json={"instances": []}).json() == {"predictions": []}
    answer = ask.post("/predict", json={"instances": ["a", 7]})
    assert (answer.status_code, answer.json()["path"]) == (422, "$.text")


def test_instances_that_do_not_fit(pose: Any) -> None:
    ask = pose(Single, "vertex-ai", VERTEX)
    for body, path in [
        ({"instances": 1}, "$.instances"),
        ({"instances": [1], "parameters": 3}, "$.parameters"),
        ({"instances": [1], "parameters": {"tims": 3}}, "$.parameters.tims"),
        ({"instances": [1], "signature": "x"}, "$.signature"),
        ({"instances": [{"x": 1}, {"times": 3}]}, "$.instances[1]"),
        ({"instances": [[1]]}, "$.x[0]"),
    ]:
        answer = ask.post("/predict", json=body)
        assert (answer.status_code, answer.json().get("path")) == (422, path), body
        assert answer.headers["content-type"] == "application/problem+json"
    assert ask.post("/predict", json={"instances": [1.5] * 5000}).status_code == 413
    page = ask("GET", "/metrics").text
    for code, count in (("422", 6), ("413", 1)):
        line = (
            f'tiffin_requests_total{{code="{code}",method="POST",route="/double",service="single"}} {count}.0'
        )
        assert line in page.splitlines()


def test_a_compressed_body_of_instances(pose: Any) -> None:
    ask = pose(Single, "vertex-ai", VERTEX)
    body = gzip.compress(json.dumps({"instances": [1, 2]}).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    assert ask.post("/predict", content=body, headers=headers).json() == {"predictions": [2, 4]}
    assert ask.post("/predict", content=body[:20], headers=headers).status_code == 400
    headers["content-encoding"] = "br"
    assert ask.post("/predict", content=body, headers=headers).status_code == 415


def test_a_stream_takes_no_instances(pose: Any) -> None:
    ask = pose(Several, "vertex-ai", {**VERTEX, "TIFFIN_INVOCATIONS_API": "spell"})
    answer = ask.post("/predict", json={"instances": ["ab"]})
    assert (answer.status_code, "streams" in answer.json()["detail"]) == (422, True)
    assert ask.post("/predict", json={"text": "ab"}).status_code == 200


# Azure ML and Lambda


def test_other_platforms(pose: Any) -> None:
    assert pose(Single, "azure-ml").post("/score", json={"x": [1]}).json() == [2]
    assert pose(Single, "lambda").post("/invocations", json={"x": [1]}).json() == [2]
    ask = pose(Several, "azure-ml", {"TIFFIN_INVOCATIONS_API": "shout"})
    assert ask.post("/score", json={"text": "a"}).json() == "A"
    assert msgspec.json.decode(ask("GET", "/readyz").content)["ready"]
