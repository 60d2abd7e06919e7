"""TLS on the HTTP port: wrong files, the short way over it, renewal, callers' certificates."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from certificates import Authority, trusting
from http_server import Client, get, post
from http_service import server_state

from tiffin.errors import ConfigError
from tiffin.runtime.http.state import ServerState
from tiffin.runtime.http.tls import Tls, TlsFiles, load
from tiffin.runtime.server.listener import Listener
from tiffin.runtime.supervisor.sockets import listen


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ca")


Connect = Callable[[ssl.SSLContext], Awaitable[Client]]


def serve(
    folder: Path, files: TlsFiles, test: Callable[[Connect, ServerState, Listener], Awaitable[None]]
) -> None:
    """Runs an async test with the real listener, once in asyncio's loop and once in uvloop's."""
    options = dict(zip(("tls_cert", "tls_key", "tls_client_ca"), files, strict=True))

    async def run() -> None:
        state = server_state(folder, **options)
        sockets = listen("127.0.0.1", 0)
        port = sockets[0].getsockname()[1]
        listener = Listener(state, [opened.detach() for opened in sockets])
        await listener.start()

        async def connect(context: ssl.SSLContext) -> Client:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname="localhost", limit=2**26
            )
            return Client(reader, writer)

        try:
            await test(connect, state, listener)
        finally:
            await listener.close(accept_first=False)
            await listener.drain(0.2, 0.0)

    for loop in (asyncio.new_event_loop(), uvloop.new_event_loop()):
        try:
            loop.run_until_complete(asyncio.wait_for(run(), 60))
        finally:
            loop.close()


def test_predictions_and_pages(tmp_path: Path, authority: Authority) -> None:
    async def test(connect: Connect, state: ServerState, _: Listener) -> None:
        context = trusting(authority.file)
        context.set_alpn_protocols(["h2", "http/1.1"])
        async with await connect(context) as client:
            shown = client.writer.get_extra_info("ssl_object")
            assert shown.version() in ("TLSv1.2", "TLSv1.3")
            assert shown.selected_alpn_protocol() == "http/1.1"
            for _ in range(3):
                await client.send(post("/echo", b'{"x": [1, 2]}'))
                assert (await client.answer()).body == b"[1,2]"
            big = b'{"x": "%b"}' % (b"y" * 900_000)
            await client.send(post("/echo", big))
            assert len((await client.answer()).body) == 900_002
            await client.send(get("/livez"))
            assert (await client.answer()).status == 200
            await client.send(post("/count", b'{"x": 3}'))
            assert (await client.head())[0] == 200
            assert [chunk async for chunk in client.chunks()]
        assert state.serving is not None

    serve(tmp_path, TlsFiles(*authority.issue("localhost"), ""), test)


def test_whoever_sends_too_much_can_read_why(tmp_path: Path, authority: Authority) -> None:
    async def test(connect: Connect, _state: ServerState, _listener: Listener) -> None:
        async with await connect(trusting(authority.file)) as client:
            client.writer.write(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999999\r\n\r\n")
            client.writer.write(b"x" * 5_000_000)
            answer = await client.answer()
            assert answer.status == 413
            assert answer.headers["connection"] == "close"

    serve(tmp_path, TlsFiles(*authority.issue("localhost"), ""), test)


def test_old_versions_and_plain_http_are_turned_away(tmp_path: Path, authority: Authority) -> None:
    async def test(connect: Connect, _state: ServerState, _listener: Listener) -> None:
        old = trusting(authority.file)
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        with pytest.warns(DeprecationWarning):
            old.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(old)
        async with await connect(trusting(authority.file)) as client:
            await client.send(get("/livez"))
            assert (await client.answer()).status == 200

    serve(tmp_path, TlsFiles(*authority.issue("localhost"), ""), test)


def test_callers_show_a_certificate(tmp_path: Path, authority: Authority) -> None:
    strangers = Authority(tmp_path / "strangers")

    async def test(connect: Connect, _state: ServerState, _listener: Listener) -> None:
        for own in ((), strangers.issue("caller")):
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError, asyncio.IncompleteReadError)):
                async with await connect(trusting(authority.file, *own)) as client:
                    await client.send(get("/livez"))  # TLS 1.3: only now the caller learns that it is refused
                    await client.answer()
        async with await connect(trusting(authority.file, *authority.issue("caller"))) as client:
            await client.send(post("/echo", b'{"x": 1}'))
            assert (await client.answer()).body == b"1"

    serve(tmp_path, TlsFiles(*authority.issue("localhost"), authority.file), test)


def test_a_renewed_certificate_is_served_without_a_restart(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tiffin.tls")
    first, second = authority.issue("localhost"), authority.issue("localhost", days=30)
    files = (tmp_path / "cert.pem", tmp_path / "key.pem")

    def put(source: tuple[str, str]) -> None:
        for path, target in zip(source, files, strict=True):
            shutil.copy(path, target)

    async def serial(connect: Connect) -> str:
        async with await connect(trusting(authority.file)) as client:
            await client.send(get("/livez"))
            assert (await client.answer()).status == 200
            found: str = client.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
            return found

    async def test(connect: Connect, _state: ServerState, listener: Listener) -> None:
        tls = listener._tls
        assert tls is not None
        before = await serial(connect)
        async with await connect(trusting(authority.file)) as kept:
            files[0].write_text("half")
            tls.look()
            tls.look()
            assert "still served" in caplog.text
            assert await serial(connect) == before
            put(second)
            tls.look()
            assert await serial(connect) == before
            tls.look()
            assert "was renewed" in caplog.text
            assert await serial(connect) != before
            await kept.send(get("/livez"))
            assert (await kept.answer()).status == 200
        caplog.clear()
        put(first)

    put(first)
    serve(tmp_path, TlsFiles(str(files[0]), str(files[1]), ""), test)


def test_the_authorities_of_callers_are_renewed_as_well(tmp_path: Path, authority: Authority) -> None:
    others = Authority(tmp_path / "others")
    trusted = tmp_path / "trusted.pem"
    old, new = authority.issue("caller"), others.issue("caller")

    async def let_in(connect: Connect, own: tuple[str, str]) -> bool:
        try:
            async with await connect(trusting(authority.file, *own)) as client:
                await client.send(get("/livez"))
                return (await client.answer()).status == 200
        except (ssl.SSLError, ConnectionError, AssertionError, asyncio.IncompleteReadError):
            return False

    async def test(connect: Connect, _state: ServerState, listener: Listener) -> None:
        assert listener._tls is not None
        assert [await let_in(connect, own) for own in (old, new)] == [True, False]
        shutil.copy(others.file, trusted)
        listener._tls.look()
        listener._tls.look()
        assert [await let_in(connect, own) for own in (old, new)] == [False, True]
        shutil.copy(authority.file, trusted)

    shutil.copy(authority.file, trusted)
    serve(tmp_path, TlsFiles(*authority.issue("localhost"), str(trusted)), test)


def test_another_kind_of_key_is_taken_as_well(tmp_path: Path, authority: Authority) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
         "-subj", "/CN=localhost", "-days", "3", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    trusted = trusting(str(cert))

    async def test(connect: Connect, _state: ServerState, listener: Listener) -> None:
        assert listener._tls is not None
        with pytest.raises(ssl.SSLError):
            await connect(trusting(authority.file))
        async with await connect(trusted):
            pass
        for path, target in zip(authority.issue("localhost"), (cert, key), strict=True):
            shutil.copy(path, target)
        listener._tls.look()
        listener._tls.look()
        async with await connect(trusting(authority.file)) as client:
            await client.send(get("/livez"))
            assert (await client.answer()).status == 200
        shutil.copy(tmp_path / "old.pem", cert)
        shutil.copy(tmp_path / "old.key", key)

    shutil.copy(cert, tmp_path / "old.pem")
    shutil.copy(key, tmp_path / "old.key")
    serve(tmp_path, TlsFiles(str(cert), str(key), ""), test)


def test_wrong_files_are_named(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = authority.issue("localhost")
    old_cert, old_key = authority.issue("localhost", days=0)
    _, other_key = authority.issue("other")
    junk, missing = tmp_path / "junk", str(tmp_path / "missing")
    junk.write_text("no certificate")
    locked = str(tmp_path / "locked.key")
    subprocess.run(
        ["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked],
        check=True, capture_output=True,
    )  # fmt: skip
    for files, hint in (
        ((missing, key, ""), f"--tls-cert {missing} cannot be read"),
        ((cert, missing, ""), f"--tls-key {missing} cannot be read"),
        ((str(junk), key, ""), f"--tls-cert {junk} holds no certificate"),
        ((cert, str(junk), ""), f"--tls-key {junk} holds no private key"),
        ((cert, other_key, ""), f"{other_key} is not the key"),
        ((cert, locked, ""), "encrypted"),
        ((old_cert, old_key, ""), "certificate has expired"),
        ((cert, key, missing), f"--tls-client-ca {missing} cannot be read"),
        ((cert, key, str(junk)), f"--tls-client-ca {junk} holds no certificate"),
    ):
        with pytest.raises(ConfigError) as refusal:
            load(TlsFiles(*files))
        assert hint in str(refusal.value)
    caplog.clear()
    load(TlsFiles(cert, key, ""))
    assert "renew it" in caplog.text  # it ends in two days
    caplog.clear()
    Tls(TlsFiles(*authority.issue("localhost", days=60), ""))
    assert not caplog.text
