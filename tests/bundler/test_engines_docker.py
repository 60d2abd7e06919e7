"""What is asked of Docker's SDK, with an engine that only listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fake_program import FakeProgram

from tiffin.bundler.engines.docker import DockerEngine, _Client
from tiffin.bundler.engines.engine import BuildRequest
from tiffin.errors import ImageError

USUAL_S = 60


class Listening:
    """The SDK's client; keeps how long each stream was willing to wait."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.waits: list[int] = []
        self._events = events
        self.api = SimpleNamespace(timeout=USUAL_S, push=self._push)
        self.images = SimpleNamespace(get=self._get)

    def _push(self, image: str, **_: Any) -> Iterator[dict[str, Any]]:
        self.waits.append(self.api.timeout)
        yield from self._events

    def _get(self, name: str) -> Any:
        attrs = {"Id": "1", "Size": 3, "Os": "linux", "Architecture": "amd64", "Config": {}, "RootFS": {}}
        return SimpleNamespace(attrs=attrs, tags=[name], save=self._save)

    def _save(self, **_: Any) -> Iterator[bytes]:
        self.waits.append(self.api.timeout)
        yield b"tar"


def engine(sdk: Listening) -> DockerEngine:
    return DockerEngine(cast(Any, sdk), "20.10.24", _Client("docker", rawjson=False, load=False))


def test_a_push_waits_for_a_silent_registry() -> None:
    sdk = Listening([{"aux": {"Digest": "sha256:1"}}])
    assert engine(sdk).push("iris:1", lambda *_: None) == "sha256:1"
    assert sdk.waits[0] > 3600
    assert sdk.api.timeout == USUAL_S


def test_a_push_that_fails_leaves_the_usual_limit() -> None:
    sdk = Listening([{"error": "connection refused"}])
    with pytest.raises(ImageError, match="connection refused"):
        engine(sdk).push("iris:1", lambda *_: None)
    assert sdk.api.timeout == USUAL_S


def test_a_save_waits_for_a_slow_disk(tmp_path: Path) -> None:
    sdk = Listening([])
    engine(sdk).save("iris:1", tmp_path / "iris.tar", lambda *_: None)
    assert (tmp_path / "iris.tar").read_bytes() == b"tar"
    assert sdk.waits[0] > 3600
    assert sdk.api.timeout == USUAL_S


def joining(program: Path, insecure: list[str]) -> tuple[DockerEngine, list[tuple[str, str]]]:
    """An engine for linux/amd64, and what is tagged in it."""
    tagged: list[tuple[str, str]] = []

    def get(name: str) -> Any:
        attrs = {"Os": "linux", "Architecture": name.rpartition("-")[2]}
        return SimpleNamespace(attrs=attrs, tag=lambda other: tagged.append((name, other)))

    registries = {"IndexConfigs": {"r.example.com": {"Secure": False}}, "InsecureRegistryCIDRs": insecure}
    sdk = SimpleNamespace(
        version=lambda: {"Os": "linux", "Arch": "amd64"},
        images=SimpleNamespace(get=get),
        info=lambda: {"RegistryConfig": registries},
    )
    return DockerEngine(cast(Any, sdk), "20.10.24", _Client(str(program), False, False)), tagged


def looked_up(host: str, _port: None) -> list[Any]:
    known = {"localhost": ["::1", "127.0.0.1"], "ghcr.io": ["140.82.121.33"]}
    if host in known or host[:1] in "1:":
        return [(2, 1, 6, "", (address, 0)) for address in known.get(host, [host])]
    raise socket.gaierror(-2, "Name or service not known")


def test_a_name_for_several_platforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    fake = FakeProgram(tmp_path, "docker")
    fake.say("manifest")
    fake.say("manifest", "rm", stderr="no such manifest", code=1)
    fake.say("manifest", "push", stdout="Pushed ref 127…\nsha256:7\n")
    one, tagged = joining(fake.path, ["127.0.0.0/8"])
    images = ["r/iris:1-arm64", "r/iris:1-amd64"]
    one.join("r/iris:1", images)
    assert tagged == [("r/iris:1-amd64", "r/iris:1")]
    for name, plain in (
        ("127.0.0.1:5000/iris:1", True),
        ("127.0.0.1/iris:1", True),
        ("localhost:5000/iris:1", True),
        ("r.example.com/iris:1", True),
        ("[::1]:5000/iris:1", False),
        ("ghcr.io/iris:1", False),
        ("r.nowhere.example/iris:1", False),
        ("team/iris:1", False),
        ("iris:1", False),
    ):
        assert one.push_joined(name, images, lambda *_: None) == "sha256:7"
        insecure = ["--insecure"] if plain else []
        assert fake.arguments("manifest", "create") == ["manifest", "create", *insecure, name, *images]
        assert fake.arguments("manifest", "push") == ["manifest", "push", "--purge", *insecure, name]
    fake.say("manifest", "create", stderr="denied: requested access", code=1)
    with pytest.raises(ImageError, match=r"(?s)docker could not push r/iris:1: .*docker login"):
        one.push_joined("r/iris:1", images, lambda *_: None)


@pytest.mark.parametrize("staged", [True, False])
def test_a_build_gets_a_folder_where_there_can_be_one(tmp_path: Path, staged: bool) -> None:
    fake = FakeProgram(tmp_path, "docker")
    fake.say("build", files={"--iidfile": "sha256:5"})
    one = DockerEngine(cast(Any, None), "20.10.24", _Client(str(fake.path), False, False))
    request = BuildRequest(
        dockerfile="",
        folder=tmp_path,
        context=lambda: iter([] if staged else [b"tar"]),
        dockerfile_path="Dockerfile",
        tags=["iris:1"],
        staged=lambda _: nullcontext(tmp_path if staged else None),
    )
    assert one.build(request, lambda *_: None) == "sha256:5"
    arguments = fake.arguments("build")
    file = arguments[arguments.index("--file") + 1]
    assert (file, arguments[-1]) == (
        (str(tmp_path / "Dockerfile"), str(tmp_path)) if staged else ("Dockerfile", "-")
    )
