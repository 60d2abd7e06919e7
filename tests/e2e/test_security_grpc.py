"""gRPC of the real server: TLS, callers' certificates, tokens in the metadata."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from certificates import Authority
from server import Server

SERVICE = """
import tiffin

@tiffin.service
class Words:
    @tiffin.api
    def count(self, text: str) -> int:
        return len(text.split())
"""
TOKENS = """
shop shop-secret-000000 predict
ops  root-secret-000000 manage,metrics
past past-secret-000000 all 2020-01-01
"""
METADATA = "/inference.GRPCInferenceService/ModelMetadata"
STATISTICS = "/inference.GRPCInferenceService/ModelStatistics"
MODEL_READY = "/inference.GRPCInferenceService/ModelReady"
LIVE = "/inference.GRPCInferenceService/ServerLive"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "service.py").write_text(SERVICE)
    return folder


def code(channel: grpc.Channel, method: str, request: bytes, name: str = "") -> grpc.StatusCode:
    metadata = (("authorization", f"Bearer {name}-secret-000000"),) if name else ()
    try:
        channel.unary_unary(method)(request, metadata=metadata, timeout=90)
    except grpc.RpcError as error:
        assert "secret" not in str(error.details())
        found: grpc.StatusCode = error.code()
        return found
    return grpc.StatusCode.OK


def test_tokens_over_tls(project: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    cert, key = authority.issue("localhost")
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKENS)
    with Server(
        project, "--grpc-port", "0", "--tls-cert", cert, "--tls-key", key, "--auth-file", str(tokens),
        "--path-prefix", "/ml", "--max-body-mb", "0.01",
    ) as server:  # fmt: skip
        where = server.events[-1]["grpc"]
        trusted = grpc.ssl_channel_credentials(Path(authority.file).read_bytes())
        with grpc.secure_channel(where, trusted) as channel:
            named = b"\x0a\x05words"  # field 1: the model
            for name, wanted in (
                ("", grpc.StatusCode.UNAUTHENTICATED),
                ("none", grpc.StatusCode.UNAUTHENTICATED),
                ("past", grpc.StatusCode.UNAUTHENTICATED),
                ("root", grpc.StatusCode.PERMISSION_DENIED),
                ("shop", grpc.StatusCode.OK),
            ):
                assert code(channel, METADATA, named, name) == wanted, name
                assert code(channel, MODEL_READY, named, name) == wanted, name
            assert code(channel, STATISTICS, named, "shop") == grpc.StatusCode.PERMISSION_DENIED
            assert code(channel, STATISTICS, named, "root") == grpc.StatusCode.OK
            assert code(channel, LIVE, b"") == grpc.StatusCode.OK
            assert code(channel, METADATA, b"x" * 200_000, "shop") == grpc.StatusCode.RESOURCE_EXHAUSTED
        with grpc.insecure_channel(where) as channel:
            assert code(channel, LIVE, b"") == grpc.StatusCode.UNAVAILABLE
        assert "-secret-" not in server.log()


def test_callers_certificates(project: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    cert, key = authority.issue("localhost")
    own_cert, own_key = (Path(file).read_bytes() for file in authority.issue("caller"))
    root = Path(authority.file).read_bytes()
    options = ("--tls-cert", cert, "--tls-key", key, "--tls-client-ca", authority.file)
    with Server(project, "--grpc-port", "0", *options) as server:
        where = server.events[-1]["grpc"]
        with grpc.secure_channel(where, grpc.ssl_channel_credentials(root)) as channel:
            assert code(channel, LIVE, b"") == grpc.StatusCode.UNAVAILABLE
        with grpc.secure_channel(where, grpc.ssl_channel_credentials(root, own_key, own_cert)) as channel:
            assert code(channel, LIVE, b"") == grpc.StatusCode.OK
