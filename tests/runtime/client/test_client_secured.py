"""The clients against a server with TLS, tokens and a path prefix: HTTP, gRPC, and the file in Python."""

from __future__ import annotations

import asyncio
import ssl
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import client_service
import pytest
from certificates import Authority
from server import Server

import tiffin
from tiffin import errors
from tiffin.bundler.client_code.write import client_code
from tiffin.runtime.client.failure import _KINDS, failure

TOKEN = "a-token-for-predictions-1234"
OTHER = "a-token-for-metrics-only-1234"


class Secured(NamedTuple):
    https: str
    grpcs: str
    ca: str
    folder: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = client_service.write_project(tmp_path_factory.mktemp("secured"))
    authority = Authority(folder / "ca")
    cert, key = authority.issue("localhost")
    tokens = folder / "tokens"
    tokens.write_text(f"shop {TOKEN} predict\ngrafana {OTHER} metrics\n")
    tokens.chmod(0o600)
    options = ["--tls-cert", cert, "--tls-key", key, "--auth-file", str(tokens), "--path-prefix", "/ml/kinds"]
    with Server(folder, "--no-access-log", *options) as server:
        event = server.events[-1]
        port = event["url"].rpartition(":")[2].partition("/")[0]
        yield Secured(
            https=f"https://127.0.0.1:{port}/ml/kinds",
            grpcs=f"grpcs://{event['grpc']}",
            ca=authority.file,
            folder=folder,
        )


@pytest.fixture(params=["https", "grpcs"])
def url(request: pytest.FixtureRequest, secured: Secured) -> str:
    found: str = getattr(secured, request.param)
    return found


def test_the_right_token(url: str, secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> Any:
        async with tiffin.AsyncClient(url, token=TOKEN, ca=secured.ca) as client:
            return await client.add(1)

    with tiffin.Client(url, token=TOKEN, ca=secured.ca) as client:
        client.wait_ready(90)
        assert client.add(1) == 3
        assert len(list(client.count(2))) == 2
    assert asyncio.run(run()) == 3
    monkeypatch.setenv("TIFFIN_CLIENT_TOKEN", TOKEN)
    with tiffin.Client(url, ca=secured.ca) as client:
        assert client.add(1) == 3


def test_other_tokens(url: str, secured: Secured) -> None:
    for token, kind in (
        ("", errors.UnauthorizedError),
        ("x" * 20, errors.UnauthorizedError),
        (OTHER, errors.ForbiddenError),
    ):
        with tiffin.Client(url, token=token, ca=secured.ca) as client, pytest.raises(kind) as caught:
            client.add(1)
        assert caught.value.status == kind.status
    with tiffin.Client(url, token=TOKEN, ca=secured.ca) as client:
        client.add(1)
        with pytest.raises(errors.UnauthorizedError):
            client.with_options(token="").add(1)


def test_whom_nobody_vouches_for(url: str) -> None:
    with tiffin.Client(url, token=TOKEN, retries=0, timeout_s=10) as client:
        with pytest.raises(errors.ConnectionFailedError) as caught:
            client.add(1)
        assert not caught.value.sent


def test_the_file_in_python(secured: Secured) -> None:
    with tiffin.Client(secured.https, token=TOKEN, ca=secured.ca) as client:
        text = client_code(client.schema(), "python")
    holder = sys.modules["secured_client"] = types.ModuleType("secured_client")  # dataclasses look there
    module = vars(holder)
    exec(compile(text, "secured_client.py", "exec"), module)
    context = ssl.create_default_context(cafile=secured.ca)
    with module["KindsClient"](secured.https, token=TOKEN, context=context) as client:
        client.wait_ready(90)
        assert client.add(1) == 3
    with module["KindsClient"](secured.https, token="", context=context) as client:
        with pytest.raises(module["ServerError"]) as caught:
            client.add(1)
        assert caught.value.status == 401


@pytest.mark.parametrize("kind", _KINDS.values())
def test_every_error_of_a_server_comes_back_as_itself(kind: type[errors.ServingError]) -> None:
    """With all that its class has: a service may raise it again."""
    from tiffin.runtime.http.problem import problem

    original = kind("it did not work")
    original.path = "$.x"
    told = problem(original, instance="/x", request_id="r1")
    headers = {name.decode(): value.decode() for name, value in told.headers}
    found = failure(told.status, headers, told.body)
    assert type(found) is kind
    assert (found.path, found.request_id) == ("$.x", "r1")
    assert "it did not work" in str(found)
    assert vars(found).keys() - {"request_id"} == vars(original).keys()
    assert problem(found, instance="/x", request_id="r1").status == told.status
