"""Statistics: what the counts of several processes, doors and routes become for one model."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from tiffin.runtime.http.dialect import NATIVE
from tiffin.runtime.metrics import Metrics, retire
from tiffin.runtime.metrics.snapshot import read
from tiffin.runtime.protocols.oip.statistics import labels_of, model_statistics

DOUBLE, SHOUT = object(), object()
RUNNER = SimpleNamespace(name="doubler")
INFER = "/v2/models/demo.double/infer"
GRPC = "/inference.GRPCInferenceService/ModelInfer"


def endpoint(name: str, method: str, api: object = None, runner: Any = None) -> Any:
    return SimpleNamespace(name=name, version="1", method=method, api=api, runner=runner)


ENDPOINTS = [
    endpoint("demo", "double", DOUBLE),
    endpoint("demo.double", "double", DOUBLE),
    endpoint("demo.shout", "shout", SHOUT),
    endpoint("demo.doubler.double", "double", runner=RUNNER),
]
ROUTES: Any = {
    label.encode(): SimpleNamespace(path=label, name=name, dialect=dialect, info=info)
    for label, name, dialect, info in (
        ("/double", "double", NATIVE, DOUBLE),
        ("/shout", "shout", NATIVE, SHOUT),
        ("/v2/models/demo/infer", "demo", None, None),
        (INFER, "demo.double", None, None),
        ("/v2/models/demo.doubler.double/infer", "demo.doubler.double", None, None),
    )
}


class Call(NamedTuple):
    arrival: float
    count: int
    route: str


class Server:
    """What the API processes of a server count."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def process(self, name: str) -> Metrics:
        return Metrics.open(self.folder, name, "demo")

    def stats(self, name: str) -> dict[str, Any]:
        table = read(self.folder)
        model = next(each for each in ENDPOINTS if each.name == name)
        return model_statistics(table, model, labels_of(model, ENDPOINTS, ROUTES, table))


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def answer(metrics: Metrics, route: str, code: int, seconds: float, method: str = "POST") -> None:
    request = metrics.request(route, method)
    request.begin()
    request.end(code, seconds)


def duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": pytest.approx(seconds * 1e9)}


def test_nothing_has_happened_yet(server: Server) -> None:
    server.process("api-0").request("/double")
    found = server.stats("demo.double")
    assert (found["name"], found["version"], found["last_inference"]) == ("demo.double", "1", 0)
    assert (found["inference_count"], found["execution_count"], found["batch_stats"]) == (0, 0, [])
    assert set(found["inference_stats"]) == {
        *("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"),
        *("cache_hit", "cache_miss"),
    }, "clients end when one of them is missing"
    assert all(each == {"count": 0, "ns": 0} for each in found["inference_stats"].values())


def test_requests_of_all_processes_doors_and_names_are_summed(server: Server) -> None:
    before = int(time.time() * 1000)
    with server.process("api-0") as ended:
        answer(ended, "/double", 200, 1.0)
        answer(ended, INFER, 200, 2.0)
        answer(ended, INFER, 400, 0.5)
    retire(server.folder, "api-0")
    living = server.process("api-1")
    answer(living, "/v2/models/demo/infer", 200, 4.0)
    answer(living, f"{GRPC}/demo.double", 200, 8.0)
    answer(living, f"{GRPC}/demo", 503, 16.0)
    answer(living, "/tiffin.v1.Service/Call/double", 200, 32.0)
    answer(living, "/demo.Demo/Double", 200, 64.0)
    answer(living, "/double", 200, 128.0, "WEBSOCKET")
    for other in (
        "/shout",
        f"{GRPC}/demo.shout",
        "/tiffin.v1.Service/Call/shout",
        "/demo.Demo/Shout",
        "/inference.GRPCInferenceService/Double",
        "/livez",
    ):
        answer(living, other, 200, 1000.0)
    for name in ("demo", "demo.double"):
        found = server.stats(name)
        assert found["inference_stats"]["success"] == duration(7, 239.0)
        assert found["inference_stats"]["fail"] == duration(2, 16.5)
        assert before <= found["last_inference"] <= time.time() * 1000


def test_what_is_no_call_is_not_counted(server: Server) -> None:
    metrics = server.process("api-0")
    answer(metrics, "/double", 405, 1.0, "GET")
    answer(metrics, "/double", 204, 1.0, "OPTIONS")
    stats = server.stats("demo.double")["inference_stats"]
    assert (stats["success"]["count"], stats["fail"]["count"]) == (0, 0)


def test_an_api_that_calls_no_runner_computes_itself(server: Server) -> None:
    answer(server.process("api-0"), "/shout", 200, 0.25)
    found = server.stats("demo.shout")
    assert (found["inference_count"], found["execution_count"]) == (1, 1)
    assert found["inference_stats"]["compute_infer"] == duration(1, 0.25)
    assert found["inference_stats"]["queue"] == duration(1, 0.0)


def test_batches_are_told_by_who_asked_for_them(server: Server) -> None:
    for process in ("api-0", "api-1"):
        runner = server.process(process).runner("doubler")
        calls = [Call(10.0, 2, "/double"), Call(10.5, 1, INFER), Call(11.0, 3, "/shout")]
        runner.answered("double", calls, 12.0, 0.5, 0.125)
        runner.answered("double", calls[:1], 12.0, 0.25, 0.125)
    found = server.stats("demo.double")
    assert (found["inference_count"], found["execution_count"]) == (2 * 5, 2 * 3)
    stats = found["inference_stats"]
    assert stats["queue"] == duration(6, 2 * (2 + 1.5 + 2))
    assert stats["compute_infer"] == duration(6, 2 * (0.5 + 0.5 + 0.25))
    assert stats["compute_output"] == duration(6, 2 * 3 * 0.125)
    assert [each["batch_size"] for each in found["batch_stats"]] == [2, 6]
    assert found["batch_stats"][1] == {
        "batch_size": 6,
        "compute_input": {"count": 2, "ns": 0},
        "compute_infer": duration(2, 1.0),
        "compute_output": duration(2, 0.25),
    }
    shout = server.stats("demo.shout")
    assert shout["inference_stats"]["compute_infer"] == duration(2, 1.0)


def test_a_method_of_a_runner_counts_the_calls_of_apis_too(server: Server) -> None:
    metrics = server.process("api-0")
    runner = metrics.runner("doubler")
    runner.answered("double", [Call(1.0, 4, "/double"), Call(2.0, 1, "")], 3.0, 0.5, 0.25)
    runner.answered("other", [Call(1.0, 4, "/double")], 3.0, 0.5, 0.25)
    answer(metrics, "/v2/models/demo.doubler.double/infer", 400, 0.25)
    found = server.stats("demo.doubler.double")
    assert (found["inference_count"], found["execution_count"]) == (5, 1), "one batch, whoever is in it"
    assert found["inference_stats"]["success"] == duration(2, 3.0 + 2 * 0.75)
    assert found["inference_stats"]["fail"] == duration(1, 0.25)
    assert [each["batch_size"] for each in found["batch_stats"]] == [5]
