"""Events of gateways and load balancers, with the forms that their documentation shows."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tiffin.errors import MalformedInputError
from tiffin.runtime.platforms.lambda_events import (
    BALANCER,
    PLAIN,
    V1,
    V2,
    Answer,
    Request,
    request,
    response,
)


def read(event: Any) -> Request:
    return request(event, json.dumps(event).encode(), "/invocations")


def v2(**more: Any) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/classify",
        "rawQueryString": "a=1&b=%C3%A9",
        "cookies": ["one=1", "two=2"],
        "headers": {"content-type": "application/json", "x-many": "1,2", "content-length": "7"},
        "requestContext": {
            "http": {"method": "POST", "path": "/classify", "sourceIp": "192.0.2.1"},
            "stage": "$default",
        },
        "body": '{"x":1}',
        "isBase64Encoded": False,
        **more,
    }


def v1(**more: Any) -> dict[str, Any]:
    return {
        "resource": "/{proxy+}",
        "path": "/classify",
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json", "X-Many": "2"},
        "multiValueHeaders": {"Content-Type": ["application/json"], "X-Many": ["1", "2"]},
        "queryStringParameters": {"a": "2"},
        "multiValueQueryStringParameters": {"a": ["1", "2"], "b": ["é &"]},
        "requestContext": {"httpMethod": "POST", "stage": "prod", "path": "/prod/classify"},
        "body": '{"x":1}',
        "isBase64Encoded": False,
        **more,
    }


def balancer(**more: Any) -> dict[str, Any]:
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:x"}},
        "httpMethod": "GET",
        "path": "/livez",
        "queryStringParameters": {"a": "%C3%A9"},
        "headers": {"accept": "*/*", "connection": "keep-alive"},
        "body": "",
        "isBase64Encoded": False,
        **more,
    }


def test_http_api_and_function_url() -> None:
    asked = read(v2())
    assert (asked.kind, asked.method, asked.target) == (V2, "POST", "/classify?a=1&b=%C3%A9")
    assert asked.headers == [
        ("content-type", "application/json"),
        ("x-many", "1,2"),
        ("cookie", "one=1; two=2"),
    ]
    assert asked.body == b'{"x":1}'


@pytest.mark.parametrize(
    ("path", "target"),
    [("/prod/classify", "/classify"), ("/prod", "/"), ("/product", "/product"), ("/é b", "/%C3%A9%20b")],
)
def test_the_stage_is_no_part_of_the_path(path: str, target: str) -> None:
    event = v2(rawPath=path, rawQueryString="")
    event["requestContext"]["stage"] = "prod"
    assert read(event).target == target


def test_rest_api() -> None:
    asked = read(v1())
    assert (asked.kind, asked.method, asked.target) == (V1, "POST", "/classify?a=1&a=2&b=%C3%A9+%26")
    assert asked.headers == [("Content-Type", "application/json"), ("X-Many", "1"), ("X-Many", "2")]
    asked = read(v1(multiValueHeaders=None, multiValueQueryStringParameters=None))
    assert asked.target == "/classify?a=2"
    assert ("X-Many", "2") in asked.headers
    asked = read(
        v1(multiValueQueryStringParameters=None, queryStringParameters=None, headers=None, body=None)
    )
    assert (asked.target, asked.body) == ("/classify", b"")


def test_load_balancer() -> None:
    asked = read(balancer())
    assert (asked.kind, asked.method, asked.target) == (BALANCER, "GET", "/livez?a=%C3%A9")
    assert asked.headers == [("accept", "*/*")]
    lists = balancer(headers=None, multiValueHeaders={"accept": ["a", "b"]}, queryStringParameters=None,
                     multiValueQueryStringParameters={"a": ["1", "2"]})  # fmt: skip
    asked = read(lists)
    assert (asked.target, asked.several) == ("/livez?a=1&a=2", True)


@pytest.mark.parametrize(
    "event",
    [
        {"x": 1},
        [1],
        7,
        None,
        "text",
        {"requestContext": 1},
        {"requestContext": {}},
        {"Records": [{"eventSource": "aws:s3"}]},
    ],
)
def test_everything_else_is_a_body(event: Any) -> None:
    asked = read(event)
    assert (asked.kind, asked.method, asked.target) == (PLAIN, "POST", "/invocations")
    assert json.loads(asked.body) == event
    assert ("accept", "application/json") in asked.headers


def test_binary_bodies() -> None:
    data = bytes(range(256))
    asked = read(v2(body=base64.b64encode(data).decode(), isBase64Encoded=True))
    assert asked.body == data
    with pytest.raises(MalformedInputError, match="base64"):
        read(v2(body="no base64!", isBase64Encoded=True))


ANSWER = Answer(
    200,
    [
        ("Content-Type", "application/json"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-Request-Id", "7"),
        ("Content-Length", "2"),
        ("Connection", "close"),
    ],
    b"[]",
)


def test_answers() -> None:
    assert response(read(v2()), ANSWER) == {
        "statusCode": 200,
        "headers": {"content-type": "application/json", "x-request-id": "7"},
        "cookies": ["a=1", "b=2"],
        "body": "[]",
        "isBase64Encoded": False,
    }
    assert response(read(v1()), ANSWER) == {
        "statusCode": 200,
        "multiValueHeaders": {
            "content-type": ["application/json"],
            "set-cookie": ["a=1", "b=2"],
            "x-request-id": ["7"],
        },
        "body": "[]",
        "isBase64Encoded": False,
    }
    told = response(read(balancer()), Answer(503, [("retry-after", "1")], b""))
    assert told == {
        "statusCode": 503,
        "statusDescription": "503 Service Unavailable",
        "headers": {"retry-after": "1"},
        "body": "",
        "isBase64Encoded": False,
    }
    assert response(read(balancer()), Answer(499, [], b""))["statusDescription"].startswith("499 ")


@pytest.mark.parametrize(
    ("media_type", "body", "encoded"),
    [
        ("application/json", b"1", False),
        ("application/problem+json", b"{}", False),
        ("text/html; charset=utf-8", "é".encode(), False),
        ("text/plain; charset=latin-1", b"\xe9", True),
        ("application/x-npy", b"abc", True),
        ("application/msgpack", b"\x01", True),
        ("", b"", False),
    ],
)
def test_bytes_travel_as_base64(media_type: str, body: bytes, encoded: bool) -> None:
    told = response(read(v2()), Answer(200, [("content-type", media_type)], body))
    assert told["isBase64Encoded"] is encoded
    text = told["body"]
    assert (base64.b64decode(text) if encoded else text.encode()) == body


def test_what_is_compressed_travels_as_base64() -> None:
    told = response(
        read(v2()), Answer(200, [("content-type", "text/css"), ("content-encoding", "gzip")], b"a")
    )
    assert told["isBase64Encoded"] is True
