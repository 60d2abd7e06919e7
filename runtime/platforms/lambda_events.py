"""Lambda events that are HTTP requests, and the answers to them.

Formats: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
(1.0 of REST and 2.0 of HTTP APIs and function URLs),
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html (load balancers).
Every other event is the body of a prediction, and its answer is the JSON that comes back.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from ...errors import MalformedInputError

V1, V2, BALANCER, PLAIN = "1.0", "2.0", "load balancer", "plain"
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_TEXT = ("application/json", "application/xml", "application/javascript", "application/x-www-form-urlencoded")
_HOPS = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade", "expect"}
)
"""Headers between two machines, which are made anew."""


class Request(NamedTuple):
    """An HTTP request out of an event."""

    kind: str
    """`1.0`, `2.0`, `load balancer` or `plain`."""
    method: str
    target: str
    """Path and query, percent-encoded."""
    headers: list[tuple[str, str]]
    body: bytes
    several: bool = False
    """Headers of the answer go as lists."""


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


def request(event: Any, raw: bytes, plain_path: str) -> Request:
    """The request in an event.

    Args:
        event: decoded.
        raw: the same as bytes.
        plain_path: where events go that are no HTTP requests.

    Raises:
        MalformedInputError: its body is said to be base64 and is not.
    """
    context = event.get("requestContext") if isinstance(event, dict) else None
    if isinstance(context, dict):
        if "http" in context and event.get("version") == V2:
            return _v2(event, context)
        if "elb" in context:
            return _v1(event, BALANCER)
        if "httpMethod" in event:
            return _v1(event, V1)
    headers = [("content-type", "application/json"), ("accept", "application/json")]
    return Request(PLAIN, "POST", plain_path, headers, raw)


def _v2(event: dict[str, Any], context: dict[str, Any]) -> Request:
    path = event.get("rawPath") or "/"
    stage = context.get("stage", "$default")
    if stage != "$default" and (path == f"/{stage}" or path.startswith(f"/{stage}/")):
        path = path[len(stage) + 1 :] or "/"
    headers = _headers(event.get("headers"))
    if cookies := event.get("cookies"):
        headers.append(("cookie", "; ".join(cookies)))
    query = event.get("rawQueryString") or ""
    return Request(V2, context["http"]["method"], _target(path, query), headers, _body(event))


def _v1(event: dict[str, Any], kind: str) -> Request:
    lists = event.get("multiValueHeaders")
    values = event.get("multiValueQueryStringParameters") or {
        name: [value] for name, value in (event.get("queryStringParameters") or {}).items()
    }
    pairs = [(name, value) for name, several in values.items() for value in several or ()]
    # A load balancer passes them on as they were sent, the gateway decodes them.
    query = "&".join(map("=".join, pairs)) if kind == BALANCER else urlencode(pairs)
    headers = _headers(lists) if lists else _headers(event.get("headers"))
    path = event.get("path") or "/"
    return Request(
        kind, event["httpMethod"], _target(path, query), headers, _body(event), several=lists is not None
    )


def _target(path: str, query: str) -> str:
    encoded = quote(path, safe=_PATH_SAFE)
    return f"{encoded}?{query}" if query else encoded


def _headers(given: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    found = []
    for name, value in (given or {}).items():
        if name.lower() not in _HOPS:
            found += [(name, str(each)) for each in (value if isinstance(value, list) else [value])]
    return found


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedInputError(f"the event's body is said to be base64: {error}") from error


def response(asked: Request, answer: Answer) -> dict[str, Any]:
    """The answer to an event that was an HTTP request, in the form that its sender reads."""
    text, encoded = _text(answer)
    kept = [(name, value) for name, value in answer.headers if name.lower() not in _HOPS]
    found: dict[str, Any] = {"statusCode": answer.status, "body": text, "isBase64Encoded": encoded}
    if asked.kind == V2:
        cookies = [value for name, value in kept if name.lower() == "set-cookie"]
        if cookies:
            found["cookies"] = cookies
        found["headers"] = _joined((name, value) for name, value in kept if name.lower() != "set-cookie")
        return found
    if asked.kind == BALANCER:
        found["statusDescription"] = _described(answer.status)
    if asked.several:
        lists: dict[str, list[str]] = {}
        for name, value in kept:
            lists.setdefault(name.lower(), []).append(value)
        found["multiValueHeaders"] = lists
    else:
        found["headers"] = _joined(kept)
    return found


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


def _described(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Status"


def _text(answer: Answer) -> tuple[str, bool]:
    """The body as a JSON string can hold it, and whether that is base64."""
    kind = answer.header("content-type").partition(";")[0].strip().lower()
    if not answer.header("content-encoding") and (
        not answer.body or kind.startswith("text/") or kind in _TEXT or kind.endswith(("+json", "+xml"))
    ):
        try:
            return answer.body.decode(), False
        except UnicodeDecodeError:
            pass  # another charset: as bytes, then
    return base64.b64encode(answer.body).decode("ascii"), True
