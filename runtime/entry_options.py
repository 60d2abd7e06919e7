"""What `bundle-serve` can be told: on the command line of the container, else in its environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from ..errors import ConfigError, UsageError
from .auth.tokens import VARIABLE
from .logs import FORMATS, LEVELS
from .manifest import WorkerRange
from .platforms import aws_lambda
from .platforms.detect import Detected, detect, port, port_number
from .roles.options import ROLE, read_options
from .service.load import BUNDLE_VARIABLE
from .service.options import AUTO, MAX_PROCESSES, nearest
from .service.workers import parse_workers
from .supervisor.options import ServeOptions, port_beside

ROLES = ("serve", "api", "worker", "lambda")
DEFAULT_BUNDLE = "/bundle"
DEFAULT_HOST = "0.0.0.0"  # noqa: S104 - a container's own network: nobody could ask it otherwise
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True)
class Entry:
    """What a container was started for."""

    role: str
    """`serve`, `api`, `worker` or `lambda`."""
    bundle: str
    """Folder of the bundle."""
    detected: Detected | None
    """The platform and its sign; None on a plain machine."""
    serve: ServeOptions


class Option(NamedTuple):
    """One option, and the variable that says the same."""

    name: str
    """`--processes`"""
    variable: str
    parse: Callable[[str, str], Any]
    """Takes the name to use in errors, and the text.

    Raises:
        ConfigError: the text makes no sense; names what it was given as.
    """
    help: str


def _number_or_auto(name: str, text: str) -> int | str:
    if text == AUTO:
        return AUTO
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_PROCESSES:
        return int(text)
    raise ConfigError(f"{name}={text!r}: use a number from 1 to {MAX_PROCESSES}, or {AUTO!r}")


def _workers(name: str, text: str) -> dict[str, int | str | WorkerRange]:
    chosen: dict[str, int | str | WorkerRange] = {}
    for part in text.split(","):
        runner, equals, number = part.strip().partition("=")
        if not equals or not runner:
            raise ConfigError(
                f"{name}={text!r}: write runner=number, several with commas: forest=2,encoder=1..4"
            )
        if runner in chosen:
            raise ConfigError(f"{name}={text!r} names {runner} twice: give each runner one number")
        try:
            chosen[runner] = parse_workers(number)
        except ConfigError as error:
            raise ConfigError(f"{name}: {runner}={error}") from None
    return chosen


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{name}={text!r}: use a number of seconds, 2.5 say")
    return seconds


def _one_of(*known: str) -> Callable[[str, str], str]:
    def parse(name: str, text: str) -> str:
        if text not in known:
            raise ConfigError(
                f"{name}={text!r}{nearest(text, known)}: use {', '.join(known[:-1])} or {known[-1]}"
            )
        return text

    return parse


def _switch(name: str, text: str) -> bool:
    if text.lower() not in _YES + _NO:
        raise ConfigError(f"{name}={text!r}: use 1 or 0")
    return text.lower() in _YES


def _mebibytes(name: str, text: str) -> int:
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 < size < float("inf"):
        raise ConfigError(f"{name}={text!r}: use a number of MiB, 100 say")
    return max(1, round(size * 2**20))


def _grpc_port(name: str, text: str) -> int | None:
    return None if text.lower() == "none" else port_number(name, text)


def _several(_name: str, text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _paths(name: str, text: str) -> tuple[str, ...]:
    found = tuple(filter(None, text.split(os.pathsep)))
    if not found:
        raise ConfigError(f"{name}={text!r}: give the path of a file, several with {os.pathsep!r} between")
    return found


def _text(_name: str, text: str) -> str:
    return text


OPTIONS = (
    Option("--bundle", BUNDLE_VARIABLE, _text, f"folder of the bundle [{DEFAULT_BUNDLE}]"),
    Option("--host", "TIFFIN_HOST", _text, f"address to listen on [{DEFAULT_HOST}]"),
    Option("--port", "BUNDLE_PORT", port_number, "port to listen on [the platform's, else 3000]"),
    Option("--processes", "TIFFIN_PROCESSES", _number_or_auto, "API processes [the service's]"),
    Option(
        "--workers", "TIFFIN_WORKERS", _workers, "workers of runners: forest=2,encoder=1..4 [the service's]"
    ),
    Option(
        "--drain-s", "TIFFIN_DRAIN_S", _seconds, "seconds for requests in hand at the end [the platform's]"
    ),
    Option("--timeout-s", "TIFFIN_TIMEOUT_S", _seconds, "seconds that a request may take [the service's]"),
    Option(
        "--log-format", "TIFFIN_LOG_FORMAT", _one_of(*FORMATS), "text or json [json on a platform, else text]"
    ),
    Option("--log-level", "TIFFIN_LOG_LEVEL", _one_of(*LEVELS), f"{', '.join(LEVELS)} [info]"),
    Option("--access-log", "TIFFIN_ACCESS_LOG", _switch, "1 or 0: log every request [1]"),
    Option("--max-body-mb", "TIFFIN_MAX_BODY_MB", _mebibytes, "MiB of a request's body [the service's]"),
    Option(
        "--grpc-port",
        "TIFFIN_GRPC_PORT",
        _grpc_port,
        "port for gRPC, or none [--port + 1; none where the platform reaches one port only]",
    ),
    Option("--tls-cert", "TIFFIN_SERVE_TLS_CERT", _text, "certificate in PEM: HTTPS only"),
    Option("--tls-key", "TIFFIN_SERVE_TLS_KEY", _text, "its key in PEM"),
    Option("--tls-client-ca", "TIFFIN_SERVE_TLS_CLIENT_CA", _text, "who signs callers' certificates"),
    Option("--auth-file", "TIFFIN_AUTH_FILE", _text, "file with the tokens of callers"),
    Option(
        "--cors-origins",
        "TIFFIN_CORS_ORIGINS",
        _several,
        "whose pages may call: https://a.org,https://b.org, or *",
    ),
    Option("--path-prefix", "TIFFIN_PATH_PREFIX", _text, "what every path begins with: /ml/iris"),
    Option("--expose-runners", "TIFFIN_EXPOSE_RUNNERS", _switch, "1: methods of runners are models, too [0]"),
    Option(
        "--require-signed",
        "TIFFIN_REQUIRE_SIGNED",
        _paths,
        "public keys: only what one of them signed is served",
    ),
    Option("--allow-client-shm", "TIFFIN_ALLOW_CLIENT_SHM", _switch, "1: callers may use shared memory [0]"),
)
"""Every option, once: the command line, the environment and the documentation follow it."""
_FIELDS = {"max_body_mb": "max_body_bytes", "allow_client_shm": "client_shm"}
"""Of `ServeOptions`, where they are called otherwise."""


def read(arguments: Sequence[str], environ: Mapping[str, str]) -> Entry:
    """What the container was told: by the command line, else the environment, else by the platform.

    Args:
        arguments: without the program's name.

    `TIFFIN_ROLE` stands for the argument. What `api` and `worker` must know besides, `roles/options.py` reads
    from the environment.

    Raises:
        UsageError: an argument that does not exist.
        ConfigError: a value that makes no sense; names the option or the variable.
    """
    parsed = vars(_parser().parse_args(list(arguments)))
    argument = parsed.pop("role") or ""
    if argument and argument not in ROLES:
        raise UsageError(
            f"unknown argument {argument!r}{nearest(argument, ROLES)}: use one of {', '.join(ROLES)}; "
            "without any the bundle is served"
        )
    given: dict[str, Any] = {}
    for option in OPTIONS:
        key = option.name[2:].replace("-", "_")
        if parsed[key] is not None:
            given[key] = option.parse(option.name, parsed[key])
        elif text := environ.get(option.variable, ""):
            given[key] = option.parse(option.variable, text)
    detected = detect(environ, argument)
    platform = None if detected is None else detected.platform
    role = argument or environ.get(ROLE, "") or ("lambda" if platform is aws_lambda.PLATFORM else "serve")
    apart = read_options(environ, role="serve" if role == "lambda" else role)
    bundle = given.pop("bundle", DEFAULT_BUNDLE)
    for given_as, field in _FIELDS.items():
        if given_as in given:
            given[field] = given.pop(given_as)
    if "auth_file" not in given:
        given["auth_tokens"] = environ.get(VARIABLE, "")
    defaults: dict[str, Any] = {"host": DEFAULT_HOST}
    if role == "lambda" and "tls_cert" in given:
        raise ConfigError(
            "Lambda speaks TLS to callers itself: leave --tls-cert and TIFFIN_SERVE_TLS_CERT out"
        )
    if role == "lambda":  # nobody but the loop in this very process asks it
        defaults |= {"host": "127.0.0.1", "port": 0}
    elif "port" not in given:
        defaults["port"] = port(environ, platform)
    if role in ("serve", "api") and (platform is None or platform.second_port):
        defaults["grpc_port"] = port_beside({**defaults, **given}["port"])
    if platform is not None:
        defaults |= {
            "drain_s": platform.drain_s,
            "log_format": platform.log_format,
            "platform": platform.name,
        }
    return Entry(
        role=role, bundle=bundle, detected=detected, serve=ServeOptions(apart=apart, **{**defaults, **given})
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. {self.format_usage().strip()}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="bundle-serve",
        usage=f"bundle-serve [{'|'.join(ROLES)}] [--option value …]",
        description="Serves the bundle of this container. The environment may say the same as the options.",
        allow_abbrev=False,
    )
    parser.add_argument("role", nargs="?", help="what to be; lambda on Lambda, else serve")
    for option in OPTIONS:
        parser.add_argument(option.name, metavar="…", help=f"{option.help} (${option.variable})")
    return parser
