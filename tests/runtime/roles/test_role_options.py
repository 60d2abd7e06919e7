"""What a container is told to be, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiffin.errors import ConfigError
from tiffin.runtime.manifest import RunnerSpec, ServiceSpec, WorkerRange
from tiffin.runtime.roles.division import check_numbers, elsewhere, fixed, here
from tiffin.runtime.roles.options import RoleOptions, TlsFiles, read_options
from tiffin.runtime.roles.places import Place, parse_places

TOKEN = {"TIFFIN_TOKEN": "a secret that is long enough"}
SPEC = ServiceSpec(
    name="demo",
    cls="m:C",
    runners=[RunnerSpec(name="forest", workers=WorkerRange(min=2, max=4)), RunnerSpec(name="encoder")],
)


def test_alone_nothing_has_to_be_said() -> None:
    assert read_options({}) == RoleOptions()
    assert [runner.name for runner in here(RoleOptions(), SPEC)] == ["forest", "encoder"]


def test_the_environment_says_it_all(tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    pem.write_text("")
    secret = tmp_path / "secret"
    secret.write_text("  a secret that is long enough\n")
    worker = read_options(
        {
            "TIFFIN_ROLE": "worker",
            "TIFFIN_RUNNERS": "forest, encoder",
            "TIFFIN_WORKER_PORT": "7001",
            "TIFFIN_TOKEN_FILE": str(secret),
            "TIFFIN_TLS_CERT": str(pem),
            "TIFFIN_TLS_KEY": str(pem),
            "TIFFIN_TLS_CA": str(pem),
        }
    )
    assert worker == RoleOptions(
        role="worker",
        runners=("forest", "encoder"),
        worker_port=7001,
        token=b"a secret that is long enough",
        tls=TlsFiles(cert=str(pem), key=str(pem), ca=str(pem)),
    )
    assert "secret" not in repr(worker)


def test_what_is_given_comes_before_the_environment() -> None:
    environ = {**TOKEN, "TIFFIN_ROLE": "worker", "TIFFIN_WORKERS_AT": "a:1", "TIFFIN_WORKERS_MATCH": "bundle"}
    options = read_options(environ, role="api", workers_at="forest=b:2", match=None, worker_port=None)
    assert (options.role, options.match) == ("api", "bundle")
    assert options.workers_at == {"forest": (Place("b", 2),)}


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TIFFIN_ROLE": "workers"}, "TIFFIN_ROLE='workers'; did you mean 'worker'"),
        ({"TIFFIN_ROLE": "worker"}, "share a secret"),
        ({"TIFFIN_ROLE": "worker", "TIFFIN_TOKEN": "short"}, "has 5 bytes, use 16 or more"),
        ({"TIFFIN_ROLE": "worker", "TIFFIN_TOKEN_FILE": "/none"}, "TIFFIN_TOKEN_FILE=/none cannot be read"),
        ({"TIFFIN_ROLE": "worker", "TIFFIN_TOKEN_FILE": "/dev/null"}, "has 0 bytes"),
        ({"TIFFIN_ROLE": "api", **TOKEN}, "role api runs no workers: say where they are"),
        (
            {"TIFFIN_ROLE": "worker", "TIFFIN_WORKERS_AT": "a:1", **TOKEN},
            "role worker calls no other workers",
        ),
        ({"TIFFIN_WORKERS_AT": "a:1"}, "share a secret"),
        ({"TIFFIN_RUNNERS": "forest"}, "use it with role worker"),
        ({"TIFFIN_ROLE": "worker", "TIFFIN_WORKER_PORT": "x", **TOKEN}, "TIFFIN_WORKER_PORT='x'"),
        ({"TIFFIN_ROLE": "worker", "TIFFIN_WORKER_PORT": "70000", **TOKEN}, "use 0 to 65535"),
        ({"TIFFIN_WORKERS_AT": "a:1", "TIFFIN_WORKERS_MATCH": "modle", **TOKEN}, "did you mean 'model'"),
        ({"TIFFIN_ROLE": "worker", "TIFFIN_TLS_CERT": "/none", **TOKEN}, "belong together"),
        ({"TIFFIN_ROLE": "worker", "TIFFIN_TLS_CA": "/none", **TOKEN}, "needs a certificate for TLS"),
        ({"TIFFIN_WORKERS_AT": "a:1", "TIFFIN_TLS_NAME": "x", **TOKEN}, "say who signs"),
        (
            {"TIFFIN_WORKERS_AT": "a:1", "TIFFIN_TLS_CA": "/none", **TOKEN},
            "TIFFIN_TLS_CA: there is no file /none",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read_options(environ)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", {}),
        ("forest:7000", {"": (Place("forest", 7000),)}),
        ("dns:forest:7000", {"": (Place("forest", 7000),)}),
        (
            "forest=dns:forest:7000 encoder=10.0.0.7:7000,[fd00::8]:7001",
            {
                "forest": (Place("forest", 7000),),
                "encoder": (Place("10.0.0.7", 7000), Place("fd00::8", 7001)),
            },
        ),
        ("forest=a:1,a:1;encoder=b:2", {"forest": (Place("a", 1),), "encoder": (Place("b", 2),)}),
    ],
)
def test_places(text: str, places: dict[str, Any]) -> None:
    assert parse_places("X", text) == places


@pytest.mark.parametrize(
    "text",
    ["forest", "forest:", ":7000", "forest:0", "forest:70000", "forest:²", "fd00::8:7000", "=a:1", "a:1 b:2",
     "forest=a:1 forest=b:2", "forest=a:1,", "forest="],
)  # fmt: skip
def test_places_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^TIFFIN_WORKERS_AT"):
        parse_places("TIFFIN_WORKERS_AT", text)


def test_which_runners_run_where() -> None:
    token = TOKEN["TIFFIN_TOKEN"].encode()
    at = {"forest": (Place("a", 1),)}
    mixed = RoleOptions(workers_at=at, token=token)
    assert [runner.name for runner in here(mixed, SPEC)] == ["encoder"]
    assert elsewhere({"": (Place("b", 2),), **at}, SPEC) == {**at, "encoder": (Place("b", 2),)}
    with pytest.raises(ConfigError, match="does not say where the workers of encoder are"):
        here(RoleOptions(role="api", workers_at=at, token=token), SPEC)
    with pytest.raises(ConfigError, match="no runner 'forst'; did you mean 'forest'"):
        here(RoleOptions(role="worker", runners=("forst",), token=token), SPEC)
    one = RoleOptions(role="worker", runners=("encoder",), token=token)
    assert [runner.name for runner in here(one, SPEC)] == ["encoder"]
    with pytest.raises(ConfigError, match="has no runners"):
        here(RoleOptions(role="worker", token=token), ServiceSpec(name="demo", cls="m:C"))


def test_numbers_that_make_no_sense_here() -> None:
    token = TOKEN["TIFFIN_TOKEN"].encode()
    with pytest.raises(ConfigError, match="no workers of runner 'forest' run here"):
        check_numbers(RoleOptions(workers_at={"forest": (Place("a", 1),)}, token=token), SPEC, {"forest": 2})
    worker = RoleOptions(role="worker", token=token)
    check_numbers(worker, SPEC, {"forest": 2})
    with pytest.raises(ConfigError, match="only API containers know the load"):
        check_numbers(worker, SPEC, {"forest": WorkerRange(min=1, max=4)})
    assert fixed(SPEC) == {"forest": 2}
