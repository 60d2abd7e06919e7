"""Every route of the protocol that is no prediction: statuses, bodies, errors, labels, tokens."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from tensor_service import Caller

from tiffin import __version__


@pytest.fixture(scope="module")
def caller() -> Caller:
    return Caller()


def told(caller: Caller, path: str, body: Any = None, method: str = "", **headers: str) -> tuple[int, Any]:
    """Status, and the JSON of the answer; None: an empty body."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = caller.ask(path, data, method or ("GET" if body is None else "POST"), **headers)
    assert answer.body == b"" or answer.headers["content-type"] == "application/json"
    return answer.status, json.loads(answer.body) if answer.body else None


def test_the_server(caller: Caller) -> None:
    for path in ("/v2", "/v2/"):
        status, document = told(caller, path)
        assert status == 200
        assert (document["name"], document["version"]) == ("tiffin", __version__)
        assert {"statistics", "binary_tensor_data", "model_configuration"} <= set(document["extensions"])
        assert "system_shared_memory" not in document["extensions"], "nobody allowed it"
        assert "sequence" not in document["extensions"]
    assert "system_shared_memory" in told(Caller(client_shm=True), "/v2")[1]["extensions"]


def test_health_follows_the_state() -> None:
    caller = Caller()
    assert told(caller, "/v2/health/live") == (200, {"live": True})
    assert told(caller, "/v2/health/ready") == (200, {"ready": True})
    assert told(caller, "/v2/models/tensors.any/ready") == (200, {"name": "tensors.any", "ready": True})
    assert told(caller, "/v2/models/tensors.any/versions/1/ready")[0] == 200
    for path in ("/v2/health/live", "/v2/health/ready"):
        answer = caller.ask(path, method="HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert int(answer.headers["content-length"]) > 0
    caller.state.ready = False
    assert told(caller, "/v2/health/live")[0] == 200
    status, document = told(caller, "/v2/health/ready")
    assert (status, document["ready"]) == (503, False)
    assert "LOADING" in document["error"]
    caller.state.ready, caller.state.draining = True, True
    status, document = told(caller, "/v2/models/tensors.any/ready")
    assert (status, document["ready"]) == (503, False)
    assert "stopping" in document["error"]
    assert {each["state"] for each in told(caller, "/v2/repository/index", b"")[1]} == {"UNLOADING"}
    assert told(caller, "/v2/repository/index", {"ready": True}) == (200, [])


def test_metadata_of_a_model(caller: Caller) -> None:
    for version in ("", "/versions/1"):
        assert told(caller, f"/v2/models/tensors.float32{version}") == (
            200,
            {
                "name": "tensors.float32",
                "versions": ["1"],
                "platform": "tiffin",
                "inputs": [
                    {"name": "x", "datatype": "FP32", "shape": [-1, 4]},
                    {"name": "scale", "datatype": "FP64", "shape": [1]},
                ],
                "outputs": [{"name": "output", "datatype": "FP32", "shape": [-1, 4]}],
            },
        )


def test_configuration_of_a_model(caller: Caller) -> None:
    status, config = told(caller, "/v2/models/tensors.float32/config")
    assert status == 200
    assert config["max_batch_size"] == 0, "no runner makes batches of it"
    assert "dynamic_batching" not in config
    assert config["model_transaction_policy"] == {"decoupled": False}
    assert [(each["name"], each["data_type"], each["optional"]) for each in config["input"]] == [
        ("x", "TYPE_FP32", False),
        ("scale", "TYPE_FP64", True),
    ]
    assert config["output"][0]["dims"] == [-1, 4]
    assert told(caller, "/v2/models/tensors.texts/config")[1]["input"][0]["data_type"] == "TYPE_STRING"


@pytest.mark.parametrize("what", ["", "/config", "/ready", "/stats", "/trace/setting", "/infer", "/generate"])
def test_a_model_that_is_not_there(caller: Caller, what: str) -> None:
    body = b"\xff no JSON, and nobody reads it" if what in ("/infer", "/generate") else None
    status, document = told(caller, f"/v2/models/nope{what}", body)
    assert status == 404
    assert document["error"].startswith("Request for unknown model: 'nope' is not found")
    if what != "/trace/setting":
        status, document = told(caller, f"/v2/models/tensors.any/versions/2{what}", body)
        assert status == 404
        assert document["error"].startswith("Request for unknown model: 'tensors.any' version 2 is not found")


def test_names_may_be_percent_encoded(caller: Caller) -> None:
    assert caller.ask("/v2/models/tensors.any", method="GET").status == 200


def test_the_repository(caller: Caller) -> None:
    status, models = told(caller, "/v2/repository/index", b"")
    assert status == 200
    assert {"name": "tensors.any", "version": "1", "state": "READY", "reason": ""} in models
    assert told(caller, "/v2/repository/index", {"ready": True})[1] == models
    assert told(caller, "/v2/repository/models/tensors.any/load", {}) == (200, None)
    assert told(caller, "/v2/repository/models/tensors.any/load", {"parameters": None}) == (200, None)
    assert told(caller, "/v2/repository/models/nope/unload", {"parameters": {"unload_dependents": True}}) == (
        200,
        None,
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("repository/models/nope/load", {}, 404, "unknown model"),
        ("repository/models/tensors.any/load", {"parameters": {"config": "{}"}}, 501, "takes no config"),
        ("repository/models/tensors.any/load", {"parameters": []}, 400, "parameters must be an object"),
        ("repository/models/tensors.any/unload", {}, 501, "cannot unload"),
        ("repository/models/tensors.any/unload", {"parameters": {"x": 1}}, 400, "unknown parameter 'x'"),
        ("repository/store/index", {}, 501, "one repository"),
        ("repository/index", {"ready": "yes"}, 400, "ready must be true or false"),
        ("repository/index", [], 400, "expected an object"),
        ("repository/index", b"{", 400, "no JSON"),
        ("repository/index", b"\xff", 400, "no JSON"),
        ("trace/setting", {"trace_level": ["TIMESTAMPS"]}, 501, "no traces"),
        ("models/tensors.any/trace/setting", {"trace_rate": "5"}, 501, "no traces"),
        ("logging", {"log_file": "x"}, 501, "standard error"),
        ("logging", {"log_format": "ISO8601"}, 400, "default, json"),
        ("logging", {"nope": 1}, 400, "unknown log setting"),
        ("systemsharedmemory/region/in/register", {"key": "/x", "byte_size": 1}, 501, "--allow-client-shm"),
        ("systemsharedmemory/region/in/register", {"byte_size": 1}, 400, "key is missing"),
        ("systemsharedmemory/region/in/register", {"key": "/x", "byte_size": "1"}, 400, "a whole number"),
        ("systemsharedmemory/region/in/register", {"key": "/x", "byte_size": True}, 400, "a whole number"),
        ("cudasharedmemory/region/in/register", {"raw_handle": {"b64": ""}}, 501, "hold no GPU"),
    ],
)
def test_what_is_refused_says_why(caller: Caller, path: str, body: Any, status: int, words: str) -> None:
    found, document = told(caller, f"/v2/{path}", body)
    assert (found, list(document)) == (status, ["error"])
    assert words in document["error"]


def test_settings_that_are_asked_for_and_not_changed(caller: Caller) -> None:
    for path in ("/v2/trace/setting", "/v2/models/tensors.any/trace/setting"):
        assert told(caller, path)[1]["trace_level"] == ["OFF"]
        for same in ({}, {"trace_level": ["OFF"]}, {"trace_level": "OFF"}, {"trace_rate": None}):
            assert told(caller, path, same) == told(caller, path)
    assert told(caller, "/v2/logging", {}) == told(caller, "/v2/logging")
    assert told(caller, "/v2/logging")[1]["log_format"] == "default"


def test_shared_memory_of_nobody(caller: Caller) -> None:
    for kind in ("system", "cuda"):
        assert told(caller, f"/v2/{kind}sharedmemory/status") == (200, [])
        assert told(caller, f"/v2/{kind}sharedmemory/unregister", b"") == (200, None)
        assert told(caller, f"/v2/{kind}sharedmemory/region/in/unregister", b"") == (200, None)
    assert told(caller, "/v2/cudasharedmemory/region/in/status")[0] == 404
    allowed = Caller(client_shm=True)
    assert told(allowed, "/v2/systemsharedmemory/region/in/status") == (
        404,
        {"error": "Unable to find shared memory region: 'in'"},
    )


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v2", "GET, HEAD, OPTIONS"),
        ("POST", "/v2/models/tensors.any/stats", "GET, HEAD, OPTIONS"),
        ("DELETE", "/v2/models/tensors.any", "GET, HEAD, OPTIONS"),
        ("GET", "/v2/repository/index", "POST, OPTIONS"),
        ("GET", "/v2/repository/models/tensors.any/load", "POST, OPTIONS"),
        ("PUT", "/v2/logging", "GET, HEAD, POST, OPTIONS"),
        ("GET", "/v2/models/tensors.any/infer", "POST, OPTIONS"),
    ],
)
def test_other_verbs(caller: Caller, method: str, path: str, allow: str) -> None:
    answer = caller.ask(path, method=method)
    assert (answer.status, answer.headers["allow"]) == (405, allow)
    assert "error" in json.loads(answer.body)
    answer = caller.ask(path, method="OPTIONS")
    assert (answer.status, answer.headers["allow"], answer.body) == (204, allow, b"")
    assert "content-length" not in answer.headers
    assert caller.ask("/v2/nope", method="OPTIONS").status == 404


def test_what_is_no_route(caller: Caller) -> None:
    for path in (
        "/v2/nope",
        "/v2/models",
        "/v2/models/a/b",
        "/v2/models/a/versions/x",
        "/v2//",
        "/v2/models//",
    ):
        status, document = told(caller, path)
        assert (status, list(document)) == (404, ["error"]), path


def test_bodies_are_bounded_and_may_be_packed(caller: Caller) -> None:
    packed = zlib.compress(b'{"ready": true}')
    assert told(caller, "/v2/repository/index", packed, content_encoding="deflate")[0] == 200
    bomb = zlib.compress(bytes(8 * 1024 * 1024))
    assert told(caller, "/v2/repository/index", bomb, content_encoding="deflate")[0] == 413
    assert caller.ask("/v2/repository/index", bytes(5 * 1024 * 1024), pieces=10).status == 413
    assert told(caller, "/v2/repository/index", b"x", content_encoding="rot13")[0] == 400


def test_callers_cannot_make_labels(caller: Caller) -> None:
    protocol = caller.state.serving.protocol_of("/v2/models/x")  # type: ignore[union-attr]
    assert protocol is not None
    labels = {
        protocol.label(path)
        for number in range(20)
        for path in (
            f"/v2/models/{number}",
            f"/v2/models/{number}/versions/{number}/config",
            f"/v2/{number}",
            f"/v2/systemsharedmemory/region/{number}/{number}/register",
            f"/v2/repository/{number}/index",
        )
    }
    assert labels == {
        "/v2",
        "/v2/models/{model}[/versions/{version}]",
        "/v2/models/{model}[/versions/{version}]/config",
        "/v2/systemsharedmemory/region/{region}/register",
        "/v2/repository[/{repository}]/index",
    }


@pytest.mark.parametrize(
    ("path", "method", "scope"),
    [
        ("/v2/health/live", "GET", ""),
        ("/v2/health/ready", "GET", ""),
        ("/v2", "GET", "predict"),
        ("/v2/models/tensors.any", "GET", "predict"),
        ("/v2/models/tensors.any/config", "GET", "predict"),
        ("/v2/repository/index", "POST", "predict"),
        ("/v2/models/tensors.any/stats", "GET", "metrics"),
        ("/v2/models/stats", "GET", "metrics"),
        ("/v2/repository/models/tensors.any/load", "POST", "manage"),
        ("/v2/repository/models/nope/unload", "POST", "manage"),
        ("/v2/logging", "GET", "manage"),
        ("/v2/logging", "POST", "manage"),
        ("/v2/trace/setting", "POST", "manage"),
        ("/v2/systemsharedmemory/status", "GET", "manage"),
        ("/v2/systemsharedmemory/unregister", "POST", "manage"),
    ],
)
def test_every_route_asks_for_its_scope(path: str, method: str, scope: str) -> None:
    tokens = "\n".join(f"{name} {name}-token-0123456789 {name}" for name in ("predict", "manage", "metrics"))
    caller = Caller(auth_tokens=tokens)
    body = None if method == "GET" else b""
    for name in ("predict", "manage", "metrics"):
        expected = 200 if scope in ("", name) else 403
        status, document = told(caller, path, body, authorization=f"Bearer {name}-token-0123456789")
        assert status == expected, document
    assert told(caller, path, body)[0] == (200 if scope == "" else 401)
