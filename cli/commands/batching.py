"""`bundle batching`"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
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
VARIABLE = "TIFFIN_CLIENT_TOKEN"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@click.command(epilog="kill -USR1 of a server writes the learned curves to its log.")
@click.argument("url", default="", metavar="[URL]")
@click.option("--port", type=int, help="Of the server of this machine that is meant, when several run.")
@click.option("--pid", type=int, help="Of its supervisor, likewise.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with a token of the scope manage.  [default: the token in TIFFIN_CLIENT_TOKEN]",
)
@click.option(
    "--ca-file", type=click.Path(dir_okay=False), help="Who signed the certificate of the URL, in PEM."
)
@click.option("--process", default="", metavar="NAME", help="Only this API process: api-0.")
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print all that is known as JSON.")
def command(  # noqa: PLR0917 - click passes them by name
    url: str,
    port: int | None,
    pid: int | None,
    token_file: Path | None,
    ca_file: str | None,
    process: str,
    watch: bool,
    as_json: bool,
) -> None:
    """Explain how a running server batches: learned times, cap, holds, and why the last batches left.

    Without URL: the server of this user on this machine.
    """
    if watch and (as_json or not console.is_terminal()):
        raise UsageError(
            "--watch draws on a terminal: leave it out, and ask with --json as often as you like"
        )
    where = _address(url, port, pid, process)
    access = Access(_token(token_file), ca_file or "", verify=bool(url))
    if watch:
        _watch(where, access)
        return
    told = fetch(where, access)
    if as_json:
        console.emit_json(told)
    else:
        _show(told)


class Access(NamedTuple):
    """How to get at a server."""

    token: str = ""
    ca_file: str = ""
    """Empty: the authorities that this machine trusts."""
    verify: bool = True
    """False: its own supervisor has said where it listens; the certificate is for another name."""


def _token(file: Path | None) -> str:
    """
    Raises:
        UsageError: the file cannot be read, or what is in it is no token.
    """
    text = os.environ.get(VARIABLE, "")
    if file is not None:
        try:
            text = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--token-file {file} cannot be read: {error}") from error
    token = text.strip()
    if token and not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        raise UsageError(f"what is in {file or VARIABLE} is no token: one word, as bundle token prints it")
    return token


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


_ANYBODY = Access()


def fetch(address: str, access: Access = _ANYBODY) -> dict[str, Any]:
    """What the server explains.

    Raises:
        UsageError: it has no such API process.
        ServerError: nobody answers, or somebody else.
    """
    import http.client
    import urllib.error
    import urllib.request

    request = urllib.request.Request(address, headers={"accept": "application/json"})  # noqa: S310 - http only
    if access.token:  # not for whoever the server may send us on to
        request.add_unredirected_header("authorization", f"Bearer {access.token}")
    where = address.partition("/debug/")[0]
    try:
        with _opener(urlsplit(address).hostname or "", access).open(request, timeout=LIMIT_S) as answer:
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


def _opener(host: str, access: Access) -> urllib.request.OpenerDirector:
    """A proxy of the environment is for other machines.

    Raises:
        UsageError: the file of certificates cannot be used.
    """
    import ssl
    import urllib.request

    try:
        context = ssl.create_default_context(cafile=access.ca_file or None)
    except OSError as error:
        raise UsageError(f"--ca-file {access.ca_file} holds no certificates in PEM: {error}") from error
    if not access.verify and not access.ca_file:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    proxies = [urllib.request.ProxyHandler({})] if host in LOOPBACK else []
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), *proxies)


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
    if status in (401, 403):
        return ServerError(f"{where}: {detail}: give one with --token-file or in {VARIABLE}")
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


def _watch(address: str, access: Access) -> None:
    import time

    from .. import batching_view

    with console.live() as show:
        while True:
            show(batching_view.drawn(fetch(address, access)))
            time.sleep(EVERY_S)
