"""Whatever a user writes comes out of a real engine as it went in."""

from __future__ import annotations

import io
import random
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tiffin.bundler.engines.choose import choose
from tiffin.bundler.engines.engine import BuildRequest
from tiffin.bundler.image import quote

TAG = "tiffin-test/words:1"
LETTERS = "ab\"\\$`'# {}<>=&;|!~*é漢()%@^-"
KNOWN = [
    "a\\",
    '\\"',
    "$(id)",
    "${PATH}",
    "`id`",
    "a # b",
    "<<EOF",
    "",
    " ",
    "--x",
    '"',
    "${A:-b}",
    "C:\\x\\",
]


def test_words(engine: str, tmp_path: Path) -> None:
    chance = random.Random(4)
    values = [*KNOWN, *("".join(chance.choices(LETTERS, k=chance.randint(1, 25))) for _ in range(200))]
    env = {f"V{number}": value for number, value in enumerate(values)}
    (tmp_path / "Dockerfile").touch()
    text = f"FROM scratch\nCOPY Dockerfile /\nENV {quote.variables(env)}\nLABEL {quote.variables(env)}\n"

    def context() -> Iterator[bytes]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            info = tarfile.TarInfo("Dockerfile")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
        yield buffer.getvalue()

    built = choose(engine).engine
    request = BuildRequest(
        dockerfile=text, folder=tmp_path, context=context, dockerfile_path="Dockerfile", tags=[TAG]
    )
    built.build(request, lambda *_: None)
    try:
        facts = built.inspect(TAG)
    finally:
        remove = ["rmi"] if engine == "buildah" else ["image", "rm"]
        subprocess.run([engine, *remove, "--force", TAG], check=False, capture_output=True)
    assert {name: facts.env.get(name) for name in env} == env
    assert {name: facts.labels.get(name) for name in env} == env
