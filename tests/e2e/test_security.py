"""The real server with tokens, TLS, a prefix and CORS at once, by options and by environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from certificates import Authority, trusting
from server import ServeFailedError, Server
from waiting import until

SERVICE = """
import os, sys, tiffin

@tiffin.service
class Open:
    @tiffin.api
    def secrets(self) -> dict[str, bool]:
        found = "\\0".join([*os.environ.values(), *sys.argv, open("/proc/self/cmdline").read()])
        return {"seen": "-secret-" in found}

    @tiffin.api
    def size(self, data: bytes) -> int:
        return len(data)
"""
TOKENS = """
shop shop-secret-000000 predict
ops  root-secret-000000 manage,metrics
old  past-secret-000000 all 2020-01-01
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "service.py").write_text(SERVICE)
    return folder


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}-secret-000000"}


def test_all_of_it_at_once(project: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    cert, key = authority.issue("localhost", days=30)
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    home = {"TIFFIN_HOME": str(tmp_path / "home")}
    with Server(
        project, "--no-grpc", "--tls-cert", cert, "--tls-key", key, "--auth-file", str(tokens),
        "--path-prefix", "/ml/open", "--cors-origin", "https://shop.example.com", "--max-body-mb", "0.01",
        environ=home,
    ) as server:  # fmt: skip
        assert server.base_url.startswith("https://127.0.0.1:")
        assert server.base_url.endswith("/ml/open")
        context = trusting(authority.file)
        with httpx.Client(base_url=server.base_url, verify=context) as client:

            def post(name: str, path: str = "secrets", body: bytes = b"") -> httpx.Response:
                return client.post(path, content=body, headers=bearer(name) if name else {})

            for name, status in (("", 401), ("wrong", 401), ("past", 401), ("root", 403), ("shop", 200)):
                answer = post(name)
                assert answer.status_code == status, name
                assert ("www-authenticate" in answer.headers) == (status != 200)
            assert post("shop").json() == {"seen": False}
            large = client.post(
                "size",
                content=b"x" * 20_000,
                headers={**bearer("shop"), "content-type": "application/octet-stream"},
            )
            assert large.status_code == 413
            assert client.get("metrics").status_code == 401
            assert client.get("metrics", headers=bearer("shop")).status_code == 403
            page = client.get("metrics", headers=bearer("root"))
            assert page.status_code == 200
            assert 'tiffin_unauthorized_total{reason="expired",service="open"} 1.0' in page.text
            assert client.get("debug/batching", headers=bearer("shop")).status_code == 403
            assert client.get("debug/batching", headers=bearer("root")).status_code == 200
            document = client.get("schema", headers=bearer("shop")).json()
            assert document["servers"] == [{"url": "/ml/open"}]
            assert client.get(server.base_url.removesuffix("/ml/open") + "/readyz").status_code == 200
            cors = client.get("readyz", headers={"origin": "https://shop.example.com"})
            assert cors.headers["access-control-allow-origin"] == "https://shop.example.com"

            tokens.write_text(TOKENS.replace("shop shop", "shop next"))
            until(lambda: post("shop").status_code == 401)
            assert post("next").status_code == 200

        health = subprocess.run(
            [sys.executable, "-m", "tiffin.runtime.healthcheck"],
            env={**os.environ, **home}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (health.returncode, health.stderr.startswith("ready: https://")) == (0, True), health.stderr
        for token, told in (("root-secret-000000", '"processes"'), ("", "--token-file")):
            explained = subprocess.run(
                [sys.executable, "-m", "tiffin", "batching", "--json", "--pid", str(server.pid)],
                env={**os.environ, **home, "TIFFIN_CLIENT_TOKEN": token},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert explained.returncode == (0 if token else 1), explained.stderr
            assert told in explained.stdout + explained.stderr
        assert server.stop() == 0
        log = server.log()
        assert "-secret-" not in log
        assert "-secret-" not in json.dumps(server.events)


def test_tokens_of_the_environment_stay_in_the_supervisor(project: Path) -> None:
    environ = {"TIFFIN_AUTH_TOKENS": TOKENS.strip().replace("\n", ";")}
    with Server(project, "--no-grpc", environ=environ) as server:
        url = f"{server.base_url}/secrets"
        assert httpx.post(url).status_code == 401
        assert httpx.post(url, headers=bearer("shop")).json() == {"seen": False}


def test_callers_show_certificates_and_the_health_check_needs_none(project: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    cert, key = authority.issue("localhost")
    home = {"TIFFIN_HOME": str(tmp_path / "home")}
    options = ("--tls-cert", cert, "--tls-key", key, "--tls-client-ca", authority.file)
    with Server(project, "--no-grpc", *options, environ=home) as server:
        context = trusting(authority.file)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server.base_url}/livez", verify=context)
        context.load_cert_chain(*authority.issue("caller"))
        assert httpx.post(f"{server.base_url}/secrets", verify=context).status_code == 200
        health = subprocess.run(
            [sys.executable, "-m", "tiffin.runtime.healthcheck"],
            env={**os.environ, **home}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert health.returncode == 0, health.stderr


@pytest.mark.parametrize(
    ("options", "environ", "hint"),
    [
        (["--tls-cert", "none.pem", "--tls-key", "none.pem"], {}, "--tls-cert"),
        (["--tls-cert", "none.pem"], {}, "--tls-key"),
        (["--auth-file", "none"], {}, "cannot be read"),
        ([], {"TIFFIN_AUTH_TOKENS": "very-secret-thing predict"}, "line 1 has 2 words"),
        (["--path-prefix", "x"], {}, "--path-prefix"),
        (["--cors-origin", "x"], {}, "--cors-origin"),
    ],
)
def test_it_does_not_start_with_what_cannot_be(
    project: Path, options: list[str], environ: dict[str, Any], hint: str
) -> None:
    with pytest.raises(ServeFailedError) as failure, Server(project, *options, environ=environ):
        pass
    assert failure.value.code == 2
    assert hint in str(failure.value)
    assert "very-secret" not in str(failure.value)
