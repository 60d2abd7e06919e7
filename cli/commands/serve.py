"""`bundle serve`"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from .. import console
from ..mending import damage_hinted, project_hinted
from ..model_file_options import model_file_options, task_option
from ..runner_number import NumberOrAuto, RunnerNumber, one_each
from ..tags import Target
from ..written_source import found_by_server

if TYPE_CHECKING:
    from ...runtime.manifest import WorkerRange
    from ...runtime.supervisor.options import Event, ServeOptions


@click.command(
    epilog="Ctrl-C (or SIGTERM) finishes the requests in hand first; a second one stops at once.",
)
@click.argument("target", default=".", type=Target(bundles=True))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port", default=3000, show_default=True, type=int, help="Port to listen on; 0 for any free one."
)
@click.option("--processes", type=NumberOrAuto(), help="API processes.  [default: what the service says]")
@click.option(
    "--workers",
    type=RunnerNumber(),
    multiple=True,
    help="Workers of a runner: forest=4, forest=auto, forest=1..4 by load. Repeatable.",
)
@click.option(
    "--role",
    type=click.Choice(["serve", "worker", "api"]),
    help="What runs here: everything, workers, or API processes.  [default: TIFFIN_ROLE, else serve]",
)
@click.option("--runner", "runners", multiple=True, help="Role worker: run this runner only. Repeatable.")
@click.option(
    "--worker-port",
    type=int,
    help="Role worker: port for API containers.  [default: TIFFIN_WORKER_PORT or 7000]",
)
@click.option(
    "--workers-at",
    multiple=True,
    help="Workers of a runner are in other containers: forest=dns:forest:7000. Repeatable.",
)
@click.option(
    "--workers-match",
    type=click.Choice(["model", "methods", "bundle"]),
    help="What must be the same there as here.  [default: TIFFIN_WORKERS_MATCH, else model]",
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False),
    help="File with the secret that all containers share.",
)
@click.option("--name", help="Model file: name of the model and the service.  [the file's]")
@model_file_options
@task_option
@click.option("--reload", is_flag=True, help="Start anew when the source changes.")
@click.option(
    "--drain-s",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Longest that requests in hand may take at the end, in seconds.",
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=0, min_open=True),
    help="Longest that a request may take, in seconds, for every route.  [default: what the service says]",
)
@click.option(
    "--max-body-mb",
    type=click.FloatRange(min=0, min_open=True),
    envvar="TIFFIN_MAX_BODY_MB",
    help="Largest body of a request, in MiB, for every route.  [default: what the service says]",
)
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65535),
    envvar="TIFFIN_GRPC_PORT",
    help="Port for gRPC; 0 for any free one.  [default: --port + 1]",
)
@click.option("--no-grpc", is_flag=True, help="Do not listen for gRPC.")
@click.option(
    "--tls-cert",
    type=click.Path(dir_okay=False),
    envvar="TIFFIN_SERVE_TLS_CERT",
    help="Certificate in PEM: only HTTPS is spoken then.",
)
@click.option(
    "--tls-key", type=click.Path(dir_okay=False), envvar="TIFFIN_SERVE_TLS_KEY", help="Its key in PEM."
)
@click.option(
    "--tls-client-ca",
    type=click.Path(dir_okay=False),
    envvar="TIFFIN_SERVE_TLS_CLIENT_CA",
    help="Who signs callers' certificates, in PEM: callers without one are turned away.",
)
@click.option(
    "--auth-file",
    type=click.Path(dir_okay=False),
    envvar="TIFFIN_AUTH_FILE",
    help="File with the tokens of callers: bundle token makes one.",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    envvar="TIFFIN_CORS_ORIGINS",
    help="Whose pages may call from a browser: https://shop.example.com, or *. Repeatable.",
)
@click.option(
    "--path-prefix", default="", envvar="TIFFIN_PATH_PREFIX", help="What every path begins with: /ml/iris."
)
@click.option(
    "--expose-runners",
    is_flag=True,
    envvar="TIFFIN_EXPOSE_RUNNERS",
    help="Methods of runners are models of the inference protocols, too.",
)
@click.option(
    "--allow-client-shm",
    "client_shm",
    is_flag=True,
    envvar="TIFFIN_ALLOW_CLIENT_SHM",
    help="Callers on this machine may hand over arrays in shared memory.",
)
@click.option(
    "--require-signed",
    multiple=True,
    type=click.Path(dir_okay=False),
    envvar="TIFFIN_REQUIRE_SIGNED",
    metavar="PUB.PEM",
    help="Serve nothing but a bundle that this key has signed. Repeatable: one of them is enough.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--no-access-log", is_flag=True, help="Do not log requests.")
@click.option(
    "--json", "as_json", is_flag=True, help="Tell what happens as JSON, one object a line, on stdout."
)
@click.option("-q", "--quiet", is_flag=True, help="No panel; the log still tells what goes wrong.")
def command(  # noqa: PLR0917 - click passes them by name
    target: str,
    host: str,
    port: int,
    processes: int | str | None,
    workers: tuple[tuple[str, int | str | WorkerRange], ...],
    role: str | None,
    runners: tuple[str, ...],
    worker_port: int | None,
    workers_at: tuple[str, ...],
    workers_match: str | None,
    token_file: str | None,
    name: str | None,
    inputs: tuple[str, ...],
    classes: tuple[str, ...],
    task: str,
    reload: bool,
    drain_s: float,
    timeout_s: float | None,
    max_body_mb: float | None,
    grpc_port: int | None,
    no_grpc: bool,
    tls_cert: str | None,
    tls_key: str | None,
    tls_client_ca: str | None,
    auth_file: str | None,
    cors_origins: tuple[str, ...],
    path_prefix: str,
    expose_runners: bool,
    client_shm: bool,
    require_signed: tuple[str, ...],
    log_format: str,
    log_level: str,
    no_access_log: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Serve TARGET over HTTP.

    TARGET is a folder, module:Class, a notebook, the tag of a bundle, a bundle's folder, or a model file:
    model.joblib, model.onnx, a folder of models …
    """
    from ...runtime import log_stream
    from ...runtime.auth.tokens import VARIABLE
    from ...runtime.roles.options import read_options
    from ...runtime.supervisor.options import ServeOptions, port_beside

    if no_grpc and grpc_port is not None:
        raise click.UsageError("--grpc-port and --no-grpc exclude each other")
    apart = read_options(
        os.environ,
        role=role,
        runners=",".join(runners),
        workers_at=" ".join(workers_at),
        worker_port=worker_port,
        match=workers_match,
        token_file=token_file,
    )
    if grpc_port is None and not no_grpc and apart.role != "worker":
        grpc_port = port_beside(port)

    log_stream.take_over()
    tell = _tell_json if as_json else _tell_nothing if quiet else _tell
    options = ServeOptions(
        host=host,
        port=port,
        processes=processes,
        workers=one_each(workers),
        drain_s=drain_s,
        timeout_s=timeout_s,
        log_format=log_format,
        log_level=log_level,
        access_log=not no_access_log,
        reload=reload,
        grpc_port=grpc_port,
        tls_cert=tls_cert or "",
        tls_key=tls_key or "",
        tls_client_ca=tls_client_ca or "",
        auth_file=auth_file or "",
        auth_tokens="" if auth_file else os.environ.get(VARIABLE, ""),
        cors_origins=cors_origins,
        path_prefix=path_prefix,
        expose_runners=expose_runners,
        client_shm=client_shm,
        require_signed=require_signed,
        max_body_bytes=None if max_body_mb is None else max(1, round(max_body_mb * 2**20)),
        apart=apart,
        on_event=tell,
    )
    return _serve(target, options, inputs=inputs, classes=classes, task=task, name=name)


def _serve(
    target: str,
    options: ServeOptions,
    *,
    inputs: tuple[str, ...],
    classes: tuple[str, ...],
    task: str,
    name: str | None,
) -> int:
    """A model file is served as a bundle that is gone afterwards; anything else as it is."""
    from ...bundler.target import path_of
    from ...runtime.supervisor.serve import serve

    path = path_of(target)
    if path.exists() and not (path / "service.py").is_file() and path.suffix != ".py":
        from ...bundler.model_files.origin import is_model_target
        from ...bundler.model_files.serving import temporary_bundle
        from ...bundler.model_files.wishes import FileOptions

        if is_model_target(target):
            files = FileOptions(inputs=inputs, classes=classes, task=task)
            with temporary_bundle(target, files, name, follow=options.reload) as bundle:
                return serve(str(bundle), replace(options, reload=False))
    if inputs or classes or task or name:
        raise click.UsageError(
            f"--input, --classes, --task and --name are for model files, and {target} is none"
        )
    with (
        damage_hinted(),
        project_hinted(target),
        found_by_server(target, reload=options.reload) as text,
    ):
        return serve(text, options)


def _tell_json(event: Event) -> None:
    import msgspec

    click.echo(msgspec.json.encode({"event": event.kind, **event.fields}).decode())


def _tell_nothing(event: Event) -> None:
    pass


def _tell(event: Event) -> None:
    fields = event.fields
    if event.kind == "ready":
        _tell_ready(fields)
    elif event.kind == "draining":
        console.note(f"Stopping: requests in hand have {fields['limit_s']:g} s. Again to stop at once.")


def _tell_ready(fields: dict[str, Any]) -> None:
    if fields["role"] == "worker":
        _tell_worker_ready(fields)
        return
    url, routes = fields["url"], fields["routes"]
    console.panel(
        f"Serving {fields['title']}: ready in {fields['seconds']:.2f} s",
        [
            ("url", url),
            ("grpc", _grpc_url(fields["grpc"], url)),
            ("routes", "  ".join(f"POST {route}" for route in routes)),
            ("pages", "  ".join(f"{url}{page}" for page in ("/", "/docs", "/debug/batching", "/metrics"))),
            ("api", console.counted(fields["processes"], "process", "processes")),
            ("runners", _runners(fields) or "none here"),
        ],
    )


def _grpc_url(where: str, url: str) -> str:
    """As `tiffin.Client` takes it; empty when gRPC is not served."""
    return f"grpc{'s' if url.startswith('https:') else ''}://{where}" if where else ""


def _tell_worker_ready(fields: dict[str, Any]) -> None:
    console.panel(
        f"Workers of {fields['title']}: ready in {fields['seconds']:.2f} s",
        [
            ("frames", fields["frames"]),
            ("pages", "  ".join(f"{fields['url']}{page}" for page in ("/readyz", "/metrics"))),
            ("runners", _runners(fields)),
        ],
    )


def _runners(fields: dict[str, Any]) -> str:
    from ...bundler.words import size_words

    own_bytes = fields["own_bytes"]
    return ", ".join(
        f"{name} {_workers(numbers)} × {console.counted(numbers['threads'], 'thread')}"
        + (f", {size_words(own_bytes[name])} of memory for one more" if name in own_bytes else "")
        for name, numbers in fields["runners"].items()
    )


def _workers(numbers: dict[str, Any]) -> str:
    if numbers["least"] == numbers["most"]:
        return console.counted(numbers["workers"], "worker")
    return f"{numbers['least']} to {console.counted(numbers['most'], 'worker')} by load"
