"""docs/19-clients.md: its Python runs against a server, its TypeScript compiles, no option is missing."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typescript
from server import Server

import tiffin
from tiffin.bundler.client_code.write import client_code

PAGE = (Path(tiffin.__file__).parent / "docs" / "19-clients.md").read_text()

SOURCE = """
from collections.abc import AsyncIterator

import numpy as np
import tiffin
from jaxtyping import Float32


@tiffin.service(name="iris")
class Iris:
    @tiffin.api
    async def classify(self, flowers: Float32[np.ndarray, "n 4"]) -> list[str]:
        return ["setosa"] * len(flowers)

    @tiffin.api
    async def predict(self, pixels: Float32[np.ndarray, "n 784"]) -> Float32[np.ndarray, "n 10"]:
        return pixels[:, :10]

    @tiffin.api
    async def watch(self, rounds: int) -> AsyncIterator[float]:
        for round_ in range(rounds):
            yield round_ * 1.5
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("iris")
    (folder / "service.py").write_text(SOURCE)
    with Server(folder, "--no-access-log") as one:
        yield one


def test_the_python_runs(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in blocks("python"):
        exec(block.replace("http://127.0.0.1:3000", server.base_url), names)
    asyncio.run(names["call"]())
    names["client"].close()
    assert names["species"] == ["setosa"]
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("expected shape [n, 4], got [1, 1] $.flowers ")
    assert said[1:] == ["['setosa']", "0.0", "1.5", "3.0"]


def test_the_typescript_compiles(server: Server, tmp_path: Path) -> None:
    with tiffin.Client(server.base_url) as client:
        (tmp_path / "iris-client.ts").write_text(client_code(client.schema(), "typescript"))
    snippets = "".join(blocks("typescript"))
    last = "console.log(species, ServerError, scores.shape[0], scores.data[0]);\n"
    (tmp_path / "use.ts").write_text(snippets + last)
    assert typescript.compile_strictly(tmp_path / "use.ts") == []


def test_every_option_is_named() -> None:
    table = re.search(r"### Options(.*?)###", PAGE, re.DOTALL)
    assert table is not None
    for kind in (tiffin.Client, tiffin.AsyncClient):
        options = [name for name in inspect.signature(kind).parameters if name != "url"]
        for name in options:
            assert f"`{name}`" in table[1], f"{name} is not described"
    methods = {
        name
        for kind in (tiffin.Client, tiffin.AsyncClient)
        for name in vars(kind)
        if not name.startswith("_")
    }
    for name in methods:
        assert f"`{name}`" in PAGE, f"{name} is not described"
