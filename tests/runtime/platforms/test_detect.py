"""Which platform it is, and which port it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiffin.errors import ConfigError
from tiffin.runtime.entry_options import read
from tiffin.runtime.platforms import aws_lambda, sagemaker
from tiffin.runtime.platforms.detect import PLATFORMS, PORT_VARIABLES, detect, port

KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def test_the_order_of_the_ports() -> None:
    """docs/15-platforms.md promises it: whoever adds a platform decides where it stands."""
    assert PORT_VARIABLES == (
        "BUNDLE_PORT",
        "AIP_HTTP_PORT",
        "SAGEMAKER_BIND_TO_PORT",
        "FUNCTIONS_CUSTOMHANDLER_PORT",
        "WEBSITES_PORT",
        "CORTEX_PORT",
        "PORT",
    )


@pytest.mark.parametrize("first", range(len(PORT_VARIABLES)))
def test_the_first_that_is_set_wins(first: int) -> None:
    environ = {name: str(1000 + at) for at, name in enumerate(PORT_VARIABLES) if at >= first}
    assert port(environ, None) == 1000 + first
    assert read([], environ).serve.port == 1000 + first


def test_defaults() -> None:
    assert port({}, None) == 3000
    assert port({"PORT": ""}, None) == 3000
    assert read(["serve"], {}).serve.port == 8080, "SageMaker promises nothing but this argument"
    assert read(["serve"], KUBERNETES).serve.port == 3000
    assert read(["serve"], {"TIFFIN_PLATFORM": "none"}).serve.port == 3000
    assert read([], {"K_SERVICE": "x"}).serve.port == 8080


@pytest.mark.parametrize("name", PORT_VARIABLES)
def test_a_malformed_port_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}='tcp://10.0.0.1:80'.*BUNDLE_PORT"):
        port({name: "tcp://10.0.0.1:80"}, None)


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}, "lambda"),
        ({"AIP_HTTP_PORT": "8080"}, "vertex-ai"),
        ({"AIP_PREDICT_ROUTE": "/p", **KUBERNETES}, "vertex-ai"),
        ({"SAGEMAKER_BIND_TO_PORT": "8080"}, "sagemaker"),
        ({"SAGEMAKER_BATCH": "true"}, "sagemaker"),
        ({"AZUREML_MODEL_DIR": "/var/azureml-app", **KUBERNETES}, "azure-ml"),
        ({"FUNCTIONS_CUSTOMHANDLER_PORT": "7071", "WEBSITE_SITE_NAME": "x"}, "azure-functions"),
        ({"WEBSITE_SITE_NAME": "x"}, "app-service"),
        ({"CONTAINER_APP_NAME": "x", **KUBERNETES}, "container-apps"),
        ({"K_SERVICE": "x", **KUBERNETES}, "cloud-run"),
        ({"CORTEX_PORT": "8888", **KUBERNETES}, "cortex"),
        ({"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x"}, "ecs"),
        ({"FLY_APP_NAME": "x"}, "fly"),
        ({"DYNO": "web.1"}, "heroku"),
        (KUBERNETES, "kubernetes"),
        ({"TIFFIN_PLATFORM": "fly", **KUBERNETES}, "fly"),
    ],
)
def test_what_gives_a_platform_away(environ: dict[str, str], name: str) -> None:
    found = detect(environ, "")
    assert found is not None
    assert found.platform.name == name
    assert found.sign in environ
    entry = read([], environ)
    assert (entry.serve.platform, entry.serve.log_format) == (name, "json")
    assert entry.serve.drain_s == found.platform.drain_s


def test_a_plain_machine() -> None:
    assert detect({"PATH": "/bin", "PORT": "80"}, "") is None
    assert detect({**KUBERNETES, "TIFFIN_PLATFORM": "none"}, "") is None


def test_sagemaker_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On an instance whose container also looks like one of ECS."""
    environ = {"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x"}
    monkeypatch.setattr(sagemaker, "FOLDER", tmp_path / "none")
    assert detect(environ, "serve").platform.name == "ecs"  # type: ignore[union-attr]
    monkeypatch.setattr(sagemaker, "FOLDER", tmp_path)
    assert detect(environ, "serve").platform.name == "sagemaker"  # type: ignore[union-attr]
    assert detect(environ, "").platform.name == "ecs"  # type: ignore[union-attr]


def test_on_lambda_the_loop_runs_unless_a_server_is_asked_for() -> None:
    environ = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001", "PORT": "8081"}
    entry = read([], environ)
    assert (entry.role, entry.serve.host, entry.serve.port) == ("lambda", "127.0.0.1", 0)
    entry = read(["serve"], environ)
    assert (entry.role, entry.serve.host, entry.serve.port) == ("serve", "0.0.0.0", 8081)


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_a_drain_ends_before_the_platform_kills(platform) -> None:  # type: ignore[no-untyped-def]
    patience_s = {"cloud-run": 10, "fly": 5, "lambda": 2}.get(platform.name, 30)
    assert 0 < platform.drain_s < patience_s


def test_names_are_unique() -> None:
    names = [platform.name for platform in PLATFORMS]
    assert len(set(names)) == len(names)


def test_lambda_says_its_memory_in_a_variable() -> None:
    environ = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024"}
    assert aws_lambda.PLATFORM.limits(environ) == {"TIFFIN_MEMORY_MIB": "1024", "TIFFIN_CPUS": "0.58"}
    assert aws_lambda.PLATFORM.limits({}) == {}
