"""Who is let into a worker container, and what strangers can take there."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from certificates import Authority
from yard import TOKEN, Yard, credentials, play, until

from tiffin.errors import UnavailableError
from tiffin.runtime.metrics import catalog, snapshot
from tiffin.runtime.roles import gate, session
from tiffin.runtime.roles.dial import Address, dial
from tiffin.runtime.roles.messages import (
    KNOCK_BYTES,
    PROTOCOL,
    Challenge,
    Knock,
    Refused,
    Roster,
    Welcome,
    decode,
    encode,
)
from tiffin.runtime.roles.options import TlsFiles
from tiffin.runtime.roles.proof import nonce, prove_knock

Stack = contextlib.AsyncExitStack


async def open_yard(stack: Stack, folder: Path, **options: Any) -> Yard:
    yard = Yard(folder, **options)
    stack.push_async_callback(yard.close)
    return yard


def refusals(yard: Yard) -> dict[str, float]:
    rows = snapshot.read(yard.folder).get(catalog.REFUSED.name, {})
    return {reason: count for (_, reason), (count,) in rows.items()}


def test_who_knows_the_token_gets_the_roster(tmp_path: Path) -> None:
    async def scene(stack: Stack) -> None:
        yard = await open_yard(stack, tmp_path)
        yard.hire()
        caller = await dial(yard.address, credentials())
        roster = await caller.session.receive(Roster)
        assert [posted.id for posted in roster.workers] == ["doubler-0-0"]
        assert not roster.leaving
        caller.abort()

    play(scene)


def test_what_is_known_is_not_told_again(tmp_path: Path) -> None:
    """The supervisor tells of a worker's end, and then who is left."""

    async def scene(stack: Stack) -> None:
        yard = await open_yard(stack, tmp_path)
        yard.hire(2)
        caller = await dial(yard.address, credentials())
        await caller.session.receive(Roster)
        yard.gate.lose("doubler-0-0")
        yard.gate.follow([yard.workers[1].address])
        yard.gate.follow([])
        told = [await asyncio.wait_for(caller.session.receive(Roster), 60) for _ in range(2)]
        assert [(one.gone, len(one.workers)) for one in told] == [(["doubler-0-0"], 1), ([], 0)]
        caller.abort()

    play(scene)


def test_another_token_is_refused_on_both_sides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(stack: Stack) -> None:
        yard = await open_yard(stack, tmp_path)
        for wrong in (b"another secret, also long", TOKEN + b"\0", TOKEN[:-1], b""):
            with pytest.raises(UnavailableError, match="refuses us: it has another token"):
                await dial(yard.address, credentials(wrong))
        assert "127.0.0.1 was refused: it has another token" in caplog.text
        assert TOKEN.decode() not in caplog.text
        assert refusals(yard) == {"token": 4}

    play(scene)


def test_a_worker_container_must_prove_that_it_knows_the_token_too(tmp_path: Path) -> None:
    """One that says Welcome to everybody learns nothing of the token, and gets no batches."""
    heard = []

    async def scene(stack: Stack) -> None:
        gone = asyncio.Event()

        async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(encode(Challenge(protocol=PROTOCOL, frames=1, version="1", nonce=nonce())))
            (size,) = struct.unpack("<I", await reader.readexactly(4))
            heard.append(await reader.readexactly(size))
            knock = decode(heard[0])
            assert isinstance(knock, Knock)
            writer.write(encode(Welcome(instance="x", proof=knock.proof)))  # what it has just heard
            with contextlib.suppress(OSError):
                await reader.read()
                writer.close()
                await writer.wait_closed()
            gone.set()

        server = await stack.enter_async_context(await asyncio.start_server(impostor, "127.0.0.1", 0))
        address = Address(socket.AF_INET, "127.0.0.1", server.sockets[0].getsockname()[1], "x")
        with pytest.raises(UnavailableError, match="cannot prove that it has our token"):
            await dial(address, credentials())
        await asyncio.wait_for(gone.wait(), 120)
        assert TOKEN not in heard[0]

    play(scene)


def test_what_was_overheard_opens_nothing(tmp_path: Path) -> None:
    async def scene(stack: Stack) -> None:
        yard = await open_yard(stack, tmp_path)

        async def knock(message: Knock | None) -> tuple[Knock, Any]:
            async with raw(yard) as (reader, writer):
                challenge = await _read(reader)
                assert isinstance(challenge, Challenge)
                if message is None:
                    fields = {"protocol": PROTOCOL, "frames": 1, "version": "", "peer": "", "nonce": nonce()}
                    message = prove_knock(TOKEN, Knock(**fields), challenge.nonce)
                writer.write(encode(message))
                return message, await _read(reader)

        overheard, answer = await knock(None)
        assert isinstance(answer, Welcome)
        assert isinstance((await knock(overheard))[1], Refused)
        other = msgspec.structs.replace(overheard, worker="doubler-0-0")
        assert isinstance((await knock(other))[1], Refused)

    play(scene)


@contextlib.asynccontextmanager
async def raw(yard: Yard) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection of somebody who speaks for himself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", yard.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Any:
    (size,) = struct.unpack("<I", await reader.readexactly(4))
    return decode(await reader.readexactly(size))


def test_another_version_is_refused_with_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stack: Stack) -> None:
        yard = await open_yard(stack, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr("tiffin.runtime.roles.dial.PROTOCOL", PROTOCOL + 1)
            with pytest.raises(UnavailableError, match="use the same version on both sides"):
                await dial(yard.address, credentials())
        async with raw(yard) as (reader, writer):
            await _read(reader)
            writer.write(
                encode(Knock(protocol=0, frames=1, version="0.0.1\n12:00 info", peer="", nonce=nonce()))
            )
            answer = await _read(reader)
        assert isinstance(answer, Refused)
        assert answer.why.startswith("it runs tiffin 0.0.1?12:00 info (protocol 0.1), here is")

    play(scene)


def test_strangers_keep_nobody_out(tmp_path: Path) -> None:
    """Who says nothing makes room for who comes later; the others wait no longer for it."""

    async def scene(stack: Stack) -> None:
        yard = await open_yard(stack, tmp_path)
        for _ in range(3 * gate.MAX_STRANGERS):
            await stack.enter_async_context(raw(yard))
        for _ in range(5):
            (await dial(yard.address, credentials())).abort()
        assert len(yard.gate._strangers) <= gate.MAX_STRANGERS

    play(scene)


def test_a_stranger_has_five_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "STRANGER_S", 0.2)

    async def scene(stack: Stack) -> None:
        yard = await open_yard(stack, tmp_path)
        async with raw(yard) as (reader, writer):
            await _read(reader)
            writer.write(b"\x10\0")  # a byte now and then makes it no longer
            assert isinstance(await _read(reader), Refused)
            assert await reader.read() == b""
        assert refusals(yard) == {"too slow": 1}

    play(scene)


@pytest.mark.parametrize("secure", [False, True])
def test_noise_ends_its_own_connection_only(tmp_path: Path, secure: bool) -> None:
    async def scene(stack: Stack) -> None:
        tls, show = TlsFiles(), credentials()
        if secure:
            authority = Authority(tmp_path / "ca")
            tls = TlsFiles(*authority.issue("workers"))
            show = credentials(tls=TlsFiles(ca=authority.file, name="workers"))
        yard = await open_yard(stack, tmp_path, tls=tls)
        dice = random.Random(4)
        for _ in range(60):
            async with raw(yard) as (reader, writer):
                writer.write(_noise(dice))
                with contextlib.suppress(OSError):
                    writer.write_eof()
                    await asyncio.wait_for(reader.read(), 60)
        await until(lambda: not yard.gate._visits)
        caller = await dial(yard.address, show)
        caller.abort()

    play(scene)


def _noise(dice: random.Random) -> bytes:
    size = dice.choice([0, 1, 3, 4, 40, KNOCK_BYTES, KNOCK_BYTES + 1, 2**31, 2**32 - 1])
    return dice.choice(
        [
            dice.randbytes(dice.randrange(200)),
            struct.pack("<I", size) + dice.randbytes(min(size, 5000)),
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            encode(Welcome(instance="")),
            encode(Refused(why="no")) * 20,
            struct.pack("<I", 3) + b"\x91" * 3,
            struct.pack("<I", 900) + b"\x91" * 900,
        ]
    )


def test_a_stranger_can_fill_no_memory() -> None:
    """Whatever it claims, there is room for one short message."""
    one = session.Session()
    one.buffer_updated(0)
    before = len(one.get_buffer(-1))
    one.get_buffer(-1)[:4] = struct.pack("<I", 2**31)
    one.buffer_updated(4)
    assert len(one.get_buffer(-1)) == before < 2 * KNOCK_BYTES
    assert sys.getsizeof(one.get_buffer(-1).obj) < 2 * KNOCK_BYTES


def test_who_hammers_fills_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(stack: Stack) -> None:
        yard = await open_yard(stack, tmp_path)
        for _ in range(20):
            with pytest.raises(UnavailableError):
                await dial(yard.address, credentials(b"another secret, also long"))
        assert caplog.text.count("was refused") == 1
        assert refusals(yard) == {"token": 20}

    play(scene)


TLS_CASES = {
    "good": ("workers", 2, {}, ""),
    "name of the host": ("workers", 2, {"name": ""}, "not valid for|mismatch"),
    "expired": ("workers", -1, {}, "certificate has expired"),
    "another name": ("other", 2, {}, "not valid for 'workers'|mismatch"),
    "another ca": ("workers", 2, {"ca": "another"}, "self.signed certificate|unable to get local issuer"),
    "without tls": ("workers", 2, {"ca": ""}, "did not let us in within 0.3 s: does it take TLS only"),
}


@pytest.mark.parametrize("case", TLS_CASES)
def test_certificates(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiffin.runtime.roles.dial.DIAL_S", 60.0 if TLS_CASES[case][2] != {"ca": ""} else 0.3)
    name, days, changes, words = TLS_CASES[case]

    async def scene(stack: Stack) -> None:
        authority = Authority(tmp_path / "ca")
        yard = await open_yard(stack, tmp_path, tls=TlsFiles(*authority.issue(name, days=days)))
        files = {"ca": authority.file, "name": "workers", **changes}
        if files["ca"] == "another":
            files["ca"] = Authority(tmp_path / "another").file
        address = yard.address._replace(host="forest")
        if not words:
            (await dial(address, credentials(tls=TlsFiles(**files)))).abort()
            return
        with pytest.raises(UnavailableError, match=words):
            await dial(address, credentials(tls=TlsFiles(**files)))

    play(scene)


def test_a_container_without_tls_is_not_trusted_by_one_that_wants_it(tmp_path: Path) -> None:
    async def scene(stack: Stack) -> None:
        yard = await open_yard(stack, tmp_path)
        authority = Authority(tmp_path / "ca")
        with pytest.raises(UnavailableError, match="no TLS with it"):
            await dial(yard.address, credentials(tls=TlsFiles(ca=authority.file)))

    play(scene)


@pytest.mark.parametrize("shown", ["own", "none", "of another ca"])
def test_certificates_of_api_containers(tmp_path: Path, shown: str) -> None:
    async def scene(stack: Stack) -> None:
        authority = Authority(tmp_path / "ca")
        cert, key = authority.issue("workers")
        yard = await open_yard(stack, tmp_path, tls=TlsFiles(cert=cert, key=key, ca=authority.file))
        files = {"own": ("", ""), "none": ("", ""), "of another ca": ("", "")}
        if shown == "own":
            files[shown] = authority.issue("api")
        elif shown == "of another ca":
            files[shown] = Authority(tmp_path / "another").issue("api")
        show = credentials(tls=TlsFiles(*files[shown], ca=authority.file, name="workers"))
        if shown == "own":
            (await dial(yard.address, show)).abort()
            return
        with pytest.raises(UnavailableError):
            await dial(yard.address, show)
        await until(lambda: refusals(yard) == {"tls": 1})

    play(scene)
