"""`ServeOptions`: what excludes each other, and how prefix and origins are written."""

from __future__ import annotations

from typing import Any

import pytest

from tiffin.errors import ConfigError
from tiffin.runtime.roles.options import RoleOptions
from tiffin.runtime.supervisor.options import ServeOptions, port_beside

WORKER = RoleOptions(role="worker", token=b"0123456789abcdef")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"tls_cert": "c"}, "--tls-key"),
        ({"tls_key": "k"}, "--tls-cert"),
        ({"tls_client_ca": "a"}, "--tls-cert"),
        ({"auth_file": "f", "auth_tokens": "t"}, "TIFFIN_AUTH_TOKENS"),
        ({"grpc_port": 65536}, "0 to 65535"),
        ({"max_body_bytes": 0}, "more than 0"),
        ({"path_prefix": "ml"}, "letters"),
        ({"path_prefix": "/ml//iris"}, "letters"),
        ({"path_prefix": "/ml/../iris"}, "letters"),
        ({"path_prefix": "/m%6c"}, "letters"),
        ({"path_prefix": "/ml?x"}, "letters"),
        ({"cors_origins": ["shop.example.com"]}, "scheme"),
        ({"cors_origins": ["https://shop.example.com/buy"]}, "scheme"),
        ({"cors_origins": ["null"]}, "scheme"),
        ({"cors_origins": ["https://a\r\nx: y"]}, "scheme"),
        ({"cors_origins": ["*", "https://a.org"]}, "others"),
        ({"apart": WORKER, "auth_file": "f"}, "API containers"),
        ({"apart": WORKER, "tls_cert": "c", "tls_key": "k"}, "API containers"),
        ({"apart": WORKER, "cors_origins": ["*"]}, "API containers"),
        ({"apart": WORKER, "path_prefix": "/x"}, "API containers"),
        ({"apart": WORKER, "grpc_port": 0}, "API containers"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        ServeOptions(**given)


def test_prefix_and_origins_are_kept_in_one_form() -> None:
    options = ServeOptions(
        path_prefix="/ml/iris-2.0/", cors_origins=("HTTPS://A.org/,http://b:1", "https://a.org")
    )
    assert options.path_prefix == "/ml/iris-2.0"
    assert options.cors_origins == ("https://a.org", "http://b:1")
    assert ServeOptions(path_prefix="/").path_prefix == ""
    assert ServeOptions(cors_origins=("*",)).cors_origins == ("*",)


def test_grpc_is_next_to_http() -> None:
    assert [port_beside(port) for port in (3000, 0, 65535)] == [3001, 0, 65535]
    assert ServeOptions(port=65535, grpc_port=port_beside(65535)).grpc_port == 65535, "one port for both"
