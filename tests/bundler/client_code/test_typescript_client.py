"""The TypeScript client that `bundle client` writes: compiled strictly, and run by Node on a live server."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import client_service
import httpx
import pytest
import typescript
from PIL import Image
from scripted_http import Peer, Scripted
from server import Server

from tiffin.bundler.client_code.write import client_code

USE = (Path(__file__).parent / "use_client.ts.txt").read_text()

WRONG = """\
import { KindsClient } from "./kinds-client.js";
const client = new KindsClient("http://x");
await client.add({ a: "1" });
await client.add();
await client.shout({ text: "a", how: "quiet" });
await client.find({ at: { y: 1 } });
(await client.find({ at: { x: 1 } })).nothing;
await client.nothing();
await client.double({ x: [1] });
"""

ONCE = """\
import { ConnectionFailedError, KindsClient } from "./kinds-client.js";
try {
  await new KindsClient(process.argv[2], { token: "secret" }).add({ a: 1 });
} catch (error) {
  console.log(error instanceof ConnectionFailedError, error.sent);
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    typescript.compiler()
    folder = client_service.write_project(tmp_path_factory.mktemp("kinds"))
    with Server(folder, "--no-access-log") as one:
        yield one


@pytest.fixture(scope="module")
def folder(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client in TypeScript and, under `js`, in JavaScript."""
    folder = tmp_path_factory.mktemp("code")
    text = client_code(httpx.get(f"{server.base_url}/schema").json(), "typescript")
    (folder / "kinds-client.ts").write_text(text)
    (folder / "use.ts").write_text(USE)
    (folder / "package.json").write_text('{"type": "module"}')
    assert typescript.compile_strictly(folder / "use.ts", out=folder / "js") == []
    return folder


def test_wrong_use_does_not_compile(folder: Path) -> None:
    (folder / "wrong.ts").write_text(WRONG)
    complaints = typescript.compile_strictly(folder / "wrong.ts")
    assert [line.partition(",")[0] for line in complaints] == [f"wrong.ts({line}" for line in range(3, 10)]


def test_every_kind_of_api(folder: Path, server: Server) -> None:
    out = io.BytesIO()
    Image.new("RGB", (3, 2)).save(out, "png")
    png = base64.b64encode(out.getvalue()).decode()
    with Scripted() as gone:
        pass
    assert typescript.run(folder / "js" / "use.js", server.base_url, png, gone.url) == "all right\n"


def test_what_may_have_been_computed_is_not_sent_again(folder: Path) -> None:
    def loses(peer: Peer) -> None:
        peer.request()

    (folder / "js" / "once.js").write_text(ONCE)
    with Scripted(loses) as scripted:
        assert typescript.run(folder / "js" / "once.js", scripted.url) == "true true\n"
        assert len(scripted.requests) == 1
        assert b"authorization: Bearer secret" in scripted.requests[0]
