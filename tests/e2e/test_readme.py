"""The README's own commands, typed one after the other by a newcomer in an empty folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from server import Server

import tiffin

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
LIMIT_S = 120


def code_blocks() -> dict[str, str]:
    """The Python blocks that begin with a file name."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    return {block.split()[1]: block for block in blocks if block.startswith("# ")}


def commands() -> list[str]:
    """The indented lines, without their comments."""
    lines = [line.strip() for line in README.splitlines() if line.startswith("    ") and line.strip()]
    return [line.partition("   #")[0].strip() for line in lines]


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the README's files in it, and a store of its own."""
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in code_blocks().items():
        (folder / name).write_text(text)
    return folder


def python(folder: Path, *words: str) -> str:
    run = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_the_first_commands_are_the_two_that_do_everything() -> None:
    assert commands()[0].split()[:2] == ["make", "quickstart"]
    assert commands()[1].split()[:2] == ["make", "test"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_journey(newcomer: Path) -> None:
    assert set(code_blocks()) == {"train.py", "service.py"}
    assert re.search(r"^iris:\w+$", python(newcomer, "train.py"), re.MULTILINE)
    typed = [line for line in commands() if line.startswith("bundle ")]
    assert [line.split()[1] for line in typed] == [
        "build", "list", "show", "verify", "export", "import", "serve", "client", "containerize", "run",
    ]  # fmt: skip
    *before, serve, client, _, _ = typed  # the last two want a container engine: tests/image types them
    for line in before:
        assert python(newcomer, "-m", "tiffin", *shlex.split(line)[1:])
    _, _, tag = serve.split()
    with Server(tag, cwd=newcomer) as server:
        curl = next(line for line in commands() if line.startswith("curl "))
        assert answer_to(curl, server) == ["setosa"]
        (call,) = (line for line in commands() if line.startswith("client.classify("))
        with tiffin.Client(server.base_url) as caller:
            assert eval(call, {"client": caller}) == ["setosa"]
    python(newcomer, "-m", "tiffin", *shlex.split(client)[1:])
    assert "class IrisClient" in (newcomer / "iris-client.ts").read_text()


def answer_to(curl: str, server: Server) -> object:
    """What the curl line asks for, asked without curl: not every machine has it."""
    _, _, body, _, header, url = shlex.split(curl)
    name, _, value = header.partition(": ")
    return httpx.post(
        url.replace("localhost:3000", server.base_url), content=body, headers={name: value}
    ).json()


@pytest.mark.slow
def test_the_service_in_a_plain_unit_test(newcomer: Path) -> None:
    python(newcomer, "train.py")
    code = (
        "import asyncio, numpy as np; from service import Iris; "
        "x = np.array([[5.1, 3.5, 1.4, 0.2]], np.float32); print(asyncio.run(Iris().classify(x)))"
    )
    assert python(newcomer, "-c", code).strip() == "['setosa']"
