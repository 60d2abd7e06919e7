"""`bundle run`"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import click

from .. import console
from ..mending import damage_hinted
from .containerize import ENGINES

if TYPE_CHECKING:
    from types import FrameType

    from ...bundler.engines.engine import Container
    from ...bundler.engines.running import Started

_LOG_JOIN_S = 5.0


@click.command(
    epilog="Ctrl-C, SIGTERM or a closed terminal lets the server finish the requests in hand; a second one "
    "ends it at once."
)
@click.argument("tag")
@click.argument("arguments", nargs=-1)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to publish the port on; 0.0.0.0: all."
)
@click.option(
    "-p", "--port", default=3000, show_default=True, type=int, help="Port of this machine; 0: any free one."
)
@click.option(
    "--grpc-port",
    type=click.IntRange(1, 65535),
    help="Publish gRPC on this port, too.  [default: not published]",
)
@click.option("--gpus", metavar="all|NUMBER", help="GPUs that the container may use.")
@click.option(
    "-e", "--env", "env", multiple=True, metavar="KEY[=VALUE]", help="For the container; KEY alone: as here."
)
@click.option("-d", "--detach", is_flag=True, help="Leave it running, when it is ready.")
@click.option("--name", default="", help="Name of the container.")
@click.option("--engine", type=click.Choice(ENGINES), help="Who runs it.  [the first that has the image]")
@click.option(
    "--ready-s",
    default=300.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Longest until it must be ready, in seconds.",
)
@click.option(
    "--drain-s",
    default=40.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Longest that it may take to stop, in seconds; then it is killed.",
)
@damage_hinted()
def command(  # noqa: PLR0917 - click passes them by name
    tag: str,
    arguments: tuple[str, ...],
    host: str,
    port: int,
    grpc_port: int | None,
    gpus: str | None,
    env: tuple[str, ...],
    detach: bool,
    name: str,
    engine: str | None,
    ready_s: float,
    drain_s: float,
) -> int:
    """Start the image of the bundle TAG, or any other of bundle containerize, and wait until it is ready.

    ARGUMENTS go to the program in the image: serve poses as SageMaker does.
    """
    from ...bundler.engines.engine import RunRequest
    from ...bundler.engines.running import DEFAULT_PORT, find_image, start, wait_until_ready

    if gpus is not None and gpus != "all" and not (gpus.isdecimal() and int(gpus) > 0):
        raise click.BadParameter(f"{gpus!r} is neither all nor a number", param_hint="--gpus")
    image = _image(tag)
    found, facts = find_image(image, engine or "")
    request = RunRequest(
        image=image,
        container_port=DEFAULT_PORT,
        host=host,
        port=port,
        gpus=gpus or "",
        env=dict(_variable(text) for text in env),
        options=arguments,
        name=name,
    )
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal, too, unless `nohup` says otherwise
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)
    started = start(found, facts, request, grpc_port=grpc_port)
    log = _follow(started.container)
    try:
        took_s = wait_until_ready(started, ready_s)
        _tell(image, started, took_s, request.env.get("TIFFIN_PATH_PREFIX", ""), detach=detach)
        if detach:
            return 0
        log.join()
        code = started.container.exit_code()
    except BaseException as error:
        code = _stop(started.container, drain_s)
        log.join(_LOG_JOIN_S)
        started.container.remove()
        if not isinstance(error, KeyboardInterrupt):
            raise
        return code
    started.container.remove()
    if code:
        console.error(f"the container ended with exit code {code}")
    return code or 0


def _image(tag: str) -> str:
    """The image's name: that of a bundle of the store where there is one, else what was typed."""
    from ...bundler import bundles
    from ...errors import InvalidTagError, NotFoundError

    try:
        return str(bundles.get(tag).tag)
    except (InvalidTagError, NotFoundError):
        return tag


def _variable(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or (not equals and key not in os.environ):
        reason = f"{text!r} is not KEY=VALUE" if not key else f"{key} is not set in the environment"
        raise click.BadParameter(reason, param_hint="--env")
    return key, value if equals else os.environ[key]


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    raise KeyboardInterrupt


def _follow(container: Container) -> threading.Thread:
    """Shows the container's log on stderr, as it comes."""

    def copy() -> None:
        for block in container.logs():
            sys.stderr.buffer.write(block)
            sys.stderr.buffer.flush()

    thread = threading.Thread(target=copy, name="log", daemon=True)
    thread.start()
    return thread


def _stop(container: Container, drain_s: float) -> int:
    if container.exit_code() is None:
        with suppress(OSError):  # the terminal may be closed
            console.note(f"Stopping: requests in hand have {drain_s:g} s. Again to stop at once.")
        try:
            container.stop(drain_s)
        except KeyboardInterrupt:
            return 130  # 128 + SIGINT; whoever called removes it, however it is doing
    return container.exit_code() or 0


def _tell(image: str, started: Started, took_s: float, prefix: str, *, detach: bool) -> None:
    url = started.url + prefix.rstrip("/")
    name = started.container.id[:12]
    program = "podman" if started.engine.name == "buildah" else started.engine.name
    console.panel(
        f"Running {image}: ready in {took_s:.2f} s",
        [
            ("url", url),
            ("grpc", started.grpc),
            ("pages", "  ".join(f"{url}{page}" for page in ("/", "/docs", "/metrics"))),
            ("container", name),
        ],
        [f"{program} logs -f {name}", f"{program} stop {name}"] if detach else [],
    )
