"""`bundle batching`"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import click

from ...errors import ServerError, UsageError
from .. import console

if TYPE_CHECKING:
    import urllib.request
    from email.message import Message

LIMIT_S = 10.0
"""A server that says nothing for so long is hung."""
EVERY_S = 1.0
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@click.command(epilog="kill -USR1 of a server writes the learned curves to its log.")
@click.argument("url", default="", metavar="[URL]")
@click.option("--port", type=int, help="Of the server of this machine that is meant, when several run.")
@click.option("--pid", type=int, help="Of its supervisor, likewise.")
@click.option("--process", default="", metavar="NAME", help="Only this API process: api-0.")
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print all that is known as JSON.")
def command(  # noqa: PLR0917 - click passes them by name
    url: str, port: int | None, pid: int | None, process: str, watch: bool, as_json: bool
) -> None:
    """Explain how a running server batches: learned times, cap, holds, and why the last batches left.

    Without URL: the server of this user on this machine.
    """
    if watch and (as_json or not console.is_terminal()):
        raise UsageError(
            "--watch draws on a terminal: leave it out, and ask with --json as often as you like"
        )
    where = _address(url, port, pid, process)
    if watch:
        _watch(where)
        return
    told = fetch(where)
    if as_json:
        console.emit_json(told)
    else:
        _show(told)


def _address(url: str, port: int | None, pid: int | None, process: str) -> str:
    if not url:
        from ...runtime.supervisor import running

        url = running.find(port=port, pid=pid).identity.url
    elif port is not None or pid is not None:
        raise UsageError("give a URL, or --port or --pid of a server of this machine, not both")
    address = f"{base_url(url)}/debug/batching"
    return f"{address}?process={quote(process, safe='')}" if process else address


def base_url(text: str) -> str:
    """`3000`, `localhost:3000` and `https://models.example/iris/` as a URL without a slash at its end.

    Raises:
        UsageError: no http or https URL.
    """
    text = f"localhost:{text}" if text.isdecimal() else text
    text = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{text!r} is no URL of a server: write http://localhost:3000, or its port")
    return text.partition("?")[0].partition("#")[0].rstrip("/")


def fetch(address: str) -> dict[str, Any]:
    """What the server explains.

    Raises:
        UsageError: it has no such API process.
        ServerError: nobody answers, or somebody else.
    """
    import http.client
    import urllib.error
    import urllib.request

    request = urllib.request.Request(address, headers={"accept": "application/json"})  # noqa: S310 - http only
    where = address.partition("/debug/")[0]
    try:
        with _opener(urlsplit(address).hostname or "").open(request, timeout=LIMIT_S) as answer:
            return _told(answer.read(), answer.headers, where)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error.code, error.read(), error.headers, where) from error
    except http.client.HTTPException as error:
        raise ServerError(
            f"what answers at {where} speaks no HTTP ({error or type(error).__name__})"
        ) from error
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "reason", error)
        text = (
            "it says nothing"
            if isinstance(reason, TimeoutError)
            else getattr(reason, "strerror", "") or reason
        )
        raise ServerError(
            f"no server answers at {where}: {text}; start one with bundle serve, or give its URL"
        ) from error


def _opener(host: str) -> urllib.request.OpenerDirector:
    """A proxy of the environment is for other machines."""
    import urllib.request

    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if host in LOOPBACK else []))


def _told(body: bytes, headers: Message, where: str) -> dict[str, Any]:
    try:
        told = json.loads(body) if headers.get_content_type() == "application/json" else None
    except ValueError:
        told = None
    if not isinstance(told, dict) or "tiffin" not in told:
        raise ServerError(f"what answers at {where} is no tiffin server: it says nothing of batching")
    return {name: _harmless(value) for name, value in told.items()}


def _harmless(value: Any) -> Any:
    """The server may be somebody else's: its texts must not speak to the terminal."""
    if isinstance(value, str):
        return console.clean(value)
    if isinstance(value, list):
        return [_harmless(each) for each in value]
    return (
        {console.clean(name): _harmless(each) for name, each in value.items()}
        if isinstance(value, dict)
        else value
    )


def _refusal(status: int, body: bytes, headers: Message, where: str) -> Exception:
    if headers.get_content_type() != "application/problem+json":
        return ServerError(f"what answers at {where} is no tiffin server: it answered {status}")
    detail = str(json.loads(body).get("detail", status))
    return UsageError(detail) if status == 422 else ServerError(f"{where}: {detail}")


def _show(told: dict[str, Any]) -> None:
    from .. import batching_view

    if console.is_terminal():
        console.show(batching_view.drawn(told))
    else:
        batching_view.write(told)
    for process in told["silent"]:
        console.warning(f"no answer from {process}: it is busy with something else")
    if not batching_view.any_batches(told):
        console.note("No batches yet: send a request, then ask again.")


def _watch(address: str) -> None:
    import time

    from .. import batching_view

    with console.live() as show:
        while True:
            show(batching_view.drawn(fetch(address)))
            time.sleep(EVERY_S)
