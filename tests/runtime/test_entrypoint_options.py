"""`bundle-serve`: what it is told, by arguments, environment and platform."""

from __future__ import annotations

import pytest

from tiffin.errors import ConfigError, TiffinError, UsageError
from tiffin.runtime.entry_options import OPTIONS, ROLES, read
from tiffin.runtime.manifest import WorkerRange


def test_what_holds_when_nothing_is_said() -> None:
    entry = read([], {})
    assert (entry.role, entry.bundle, entry.detected) == ("serve", "/bundle", None)
    options = entry.serve
    assert (options.host, options.port, options.log_format, options.platform) == ("0.0.0.0", 3000, "text", "")
    assert (options.processes, options.workers, options.drain_s, options.timeout_s) == (None, {}, 30.0, None)


def test_every_option_may_come_from_the_environment() -> None:
    environ = {
        "TIFFIN_BUNDLE": "/somewhere",
        "TIFFIN_HOST": "127.0.0.1",
        "BUNDLE_PORT": "81",
        "TIFFIN_PROCESSES": "auto",
        "TIFFIN_WORKERS": "forest=2, encoder=1..4,pond=auto",
        "TIFFIN_DRAIN_S": "7.5",
        "TIFFIN_TIMEOUT_S": "3",
        "TIFFIN_LOG_FORMAT": "json",
        "TIFFIN_LOG_LEVEL": "error",
        "TIFFIN_ACCESS_LOG": "0",
        "TIFFIN_MAX_BODY_MB": "1.5",
        "TIFFIN_GRPC_PORT": "90",
        "TIFFIN_SERVE_TLS_CERT": "/tls/cert.pem",
        "TIFFIN_SERVE_TLS_KEY": "/tls/key.pem",
        "TIFFIN_SERVE_TLS_CLIENT_CA": "/tls/ca.pem",
        "TIFFIN_AUTH_FILE": "/run/secrets/callers",
        "TIFFIN_CORS_ORIGINS": "https://Shop.example.com, http://localhost:8080/",
        "TIFFIN_PATH_PREFIX": "/ml/iris/",
        "TIFFIN_EXPOSE_RUNNERS": "1",
        "TIFFIN_ALLOW_CLIENT_SHM": "yes",
        "TIFFIN_REQUIRE_SIGNED": "/keys/a.pem:/keys/b.pem",
    }
    assert {option.variable for option in OPTIONS} == set(environ)
    entry = read([], environ)
    options = entry.serve
    assert entry.bundle == "/somewhere"
    assert (options.host, options.port, options.processes) == ("127.0.0.1", 81, "auto")
    assert options.workers == {"forest": 2, "encoder": WorkerRange(min=1, max=4), "pond": "auto"}
    assert (options.drain_s, options.timeout_s) == (7.5, 3.0)
    assert (options.log_format, options.log_level, options.access_log) == ("json", "error", False)
    assert (options.max_body_bytes, options.grpc_port) == (1_572_864, 90)
    assert (options.tls_cert, options.tls_key) == ("/tls/cert.pem", "/tls/key.pem")
    assert (options.tls_client_ca, options.auth_file) == ("/tls/ca.pem", "/run/secrets/callers")
    assert options.cors_origins == ("https://shop.example.com", "http://localhost:8080")
    assert (options.path_prefix, options.expose_runners, options.client_shm) == ("/ml/iris", True, True)
    assert options.require_signed == ("/keys/a.pem", "/keys/b.pem")


@pytest.mark.parametrize(
    ("arguments", "environ", "port"),
    [
        ([], {}, 3001),
        ([], {"PORT": "80"}, 81),
        ([], {"BUNDLE_PORT": "0"}, 0),
        (["--grpc-port", "none"], {}, None),
        ([], {"TIFFIN_GRPC_PORT": "None"}, None),
        (["--grpc-port", "5"], {"TIFFIN_GRPC_PORT": "6"}, 5),
        ([], {"K_SERVICE": "x", "PORT": "8080"}, None),
        (["--grpc-port", "5"], {"K_SERVICE": "x"}, 5),
        ([], {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, 3001),
        (["worker"], {"TIFFIN_TOKEN": "0123456789abcdef"}, None),
        (["lambda"], {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1"}, None),
    ],
)
def test_grpc_is_served_where_a_second_port_can_be_reached(
    arguments: list[str], environ: dict[str, str], port: int | None
) -> None:
    assert read(arguments, environ).serve.grpc_port == port


def test_lambda_speaks_tls_itself() -> None:
    given = {"TIFFIN_SERVE_TLS_CERT": "/c", "TIFFIN_SERVE_TLS_KEY": "/k"}
    with pytest.raises(ConfigError, match="Lambda"):
        read(["lambda"], {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", **given})


def test_tokens_of_callers_may_be_in_the_environment_and_are_shown_nowhere() -> None:
    options = read([], {"TIFFIN_AUTH_TOKENS": "open sesame"}).serve
    assert options.auth_tokens == "open sesame"
    assert "sesame" not in repr(options)
    assert read([], {"TIFFIN_AUTH_TOKENS": "x", "TIFFIN_AUTH_FILE": "/y"}).serve.auth_tokens == ""


def test_an_argument_comes_before_the_environment() -> None:
    entry = read(
        ["serve", "--port", "82", "--workers", "forest=3", "--drain-s=2"],
        {"BUNDLE_PORT": "81", "TIFFIN_WORKERS": "forest=2", "TIFFIN_DRAIN_S": "9", "K_SERVICE": "x"},
    )
    assert (entry.serve.port, entry.serve.workers, entry.serve.drain_s) == (82, {"forest": 3}, 2.0)


def test_empty_variables_say_nothing() -> None:
    assert read([], dict.fromkeys((option.variable for option in OPTIONS), "")) == read([], {})


@pytest.mark.parametrize(
    ("variable", "text", "hint"),
    [
        ("TIFFIN_PROCESSES", "0", "from 1 to"),
        ("TIFFIN_PROCESSES", "many", "'auto'"),
        ("TIFFIN_WORKERS", "forest", "runner=number"),
        ("TIFFIN_WORKERS", "forest=0", "forest="),
        ("TIFFIN_WORKERS", "forest=1,forest=2", "twice"),
        ("TIFFIN_DRAIN_S", "soon", "seconds"),
        ("TIFFIN_DRAIN_S", "-1", "seconds"),
        ("TIFFIN_DRAIN_S", "nan", "seconds"),
        ("TIFFIN_DRAIN_S", "inf", "seconds"),
        ("TIFFIN_TIMEOUT_S", "1 minute", "seconds"),
        ("TIFFIN_LOG_FORMAT", "jason", "did you mean 'json'"),
        ("TIFFIN_LOG_LEVEL", "loud", "debug"),
        ("TIFFIN_ACCESS_LOG", "perhaps", "1 or 0"),
        ("TIFFIN_MAX_BODY_MB", "0", "MiB"),
        ("TIFFIN_MAX_BODY_MB", "much", "MiB"),
        ("TIFFIN_GRPC_PORT", "65536", "0 to 65535"),
        ("TIFFIN_EXPOSE_RUNNERS", "all", "1 or 0"),
        ("TIFFIN_ALLOW_CLIENT_SHM", "2", "1 or 0"),
        ("BUNDLE_PORT", "http", "0 to 65535"),
        ("BUNDLE_PORT", "65536", "0 to 65535"),
        ("BUNDLE_PORT", "²", "0 to 65535"),
        ("TIFFIN_PLATFORM", "sage-maker", "did you mean 'sagemaker'"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_variable(variable: str, text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read([], {variable: text})
    assert variable in str(refusal.value)
    assert hint in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["sreve"], "did you mean 'serve'"),
        (["train"], ", ".join(ROLES)),
        (["--prot", "1"], "--prot"),
        (["--port"], "--port"),
        (["--por", "1"], "--por"),
        (["serve", "more"], "more"),
    ],
)
def test_an_unknown_argument_is_named(arguments: list[str], hint: str) -> None:
    with pytest.raises(UsageError) as refusal:
        read(arguments, {})
    assert hint in str(refusal.value)


def test_a_value_on_the_command_line_is_named_as_the_option() -> None:
    with pytest.raises(TiffinError, match="--workers='x'"):
        read(["--workers", "x"], {})


def test_roles_of_containers_apart() -> None:
    environ = {"TIFFIN_TOKEN": "0123456789abcdef", "TIFFIN_WORKER_PORT": "7001"}
    entry = read(["worker"], environ)
    assert (entry.role, entry.serve.apart.role, entry.serve.apart.worker_port) == ("worker", "worker", 7001)
    entry = read([], {**environ, "TIFFIN_ROLE": "api", "TIFFIN_WORKERS_AT": "dns:workers:7001"})
    assert (entry.role, entry.serve.apart.role) == ("api", "api")
    assert read([], {"TIFFIN_ROLE": "serve"}).serve.apart.role == "serve"
    with pytest.raises(ConfigError, match="TIFFIN_TOKEN"):
        read(["worker"], {})
    with pytest.raises(ConfigError, match="TIFFIN_ROLE='wroker'"):
        read([], {"TIFFIN_ROLE": "wroker"})
