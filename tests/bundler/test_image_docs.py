"""docs/12-images.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import yaml
from dockerfiles import lint, plan

from tiffin.bundler.epoch import EPOCH
from tiffin.bundler.image.dockerfile import TEMPLATE, _environment, render
from tiffin.runtime.service.image_options import ImageOptions

PAGE = (Path(__file__).parents[2] / "docs" / "12-images.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_options() -> None:
    written = yaml.safe_load(block("yaml"))["image"]
    assert set(written) == set(ImageOptions.__struct_fields__)
    msgspec.convert(written, ImageOptions)


def test_the_template() -> None:
    text = render(plan(template=block("jinja")))
    lint(text)
    assert "install --no-install-recommends build-essential libpq-dev" in text.partition("AS dependencies")[0]
    assert text.index("USER 0\nCOPY --link --from=ghcr.io/example/tool:1.2") > text.index("AS runtime")


def test_every_block_and_secret_is_there() -> None:
    blocks = set(_environment("").get_template(TEMPLATE).blocks) - {"head"}
    table = PAGE.partition("| block |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == blocks
    secrets = set(re.findall(r"type=secret,id=(\S+)", render(plan())))
    table = PAGE.partition("| id |")[2].partition("\n\n")[0]
    assert set(re.findall(r"(?m)^\| `(\S+)`", table)) == secrets
    assert str(EPOCH) in PAGE
