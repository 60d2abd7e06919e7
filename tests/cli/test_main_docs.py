"""The pages say only what is true: commands, options, links, metrics and variables that they name exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import tiffin
from tiffin.cli.main import root
from tiffin.runtime.metrics.catalog import FAMILIES

HOUSE = Path(tiffin.__file__).parent
PAGES = sorted([*HOUSE.glob("docs/*.md"), HOUSE / "README.md", HOUSE / "CONTRIBUTING.md"])
IDS = [str(page.relative_to(HOUSE)) for page in PAGES]


def commands(page: Path) -> Iterator[str]:
    """Every `bundle …` in a code block or between backquotes, without comments and placeholders."""
    text = page.read_text()
    blocks = re.findall(r"^(?: {4}|\$ )?(bundle [a-z].*)$", text, re.MULTILINE)
    for line in [*blocks, *re.findall(r"`(bundle [^`]+)`", text)]:
        yield re.split(r"  +|\s#|\s[|&>]\s|…|\s/\s", line)[0].strip()


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words name, and the words that are left."""
    command: click.Command = root
    context = click.Context(root, info_name="bundle")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"{command.name} has no command {words[0]!r}"
        command, words = found, words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_and_options_exist(page: Path) -> None:
    for line in commands(page):
        command, words = resolve(shlex.split(line)[1:])
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        for word in words:
            if word.startswith("--") and word != "--help":
                assert word.partition("=")[0] in known, f"{line!r}: no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        other = (page.parent / target) if target else page
        assert other.exists(), f"{target} does not exist"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", other.read_text(), re.MULTILINE)
            words = [re.sub(r"[^\w -]", "", heading).strip().lower() for heading in headings]
            assert anchor in {word.replace(" ", "-") for word in words}, f"no heading #{anchor} in {other}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_variables_are_read_somewhere(page: Path) -> None:
    rooms = [HOUSE / room for room in ("runtime", "bundler", "cli")]
    code = "".join(path.read_text() for room in rooms for path in room.rglob("*.py"))
    for name in set(re.findall(r"TIFFIN_[A-Z_]+", page.read_text())):
        assert name in code, f"{name} is nowhere in the code"


def test_the_page_of_metrics_is_complete() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([\w, ]+) \|", (HOUSE / "docs" / "07-metrics.md").read_text(), re.MULTILINE
    )
    assert {(name, kind, tuple(labels.split(", "))) for name, kind, labels in rows} == {
        (family.name, family.kind, family.labels) for family in FAMILIES.values() if family.kind != "tally"
    }


def test_the_page_of_commands_is_complete() -> None:
    text = (HOUSE / "docs" / "08-cli.md").read_text()
    context = click.Context(root)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None
        section = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        assert section, f"no section for {name}"
        below = list(command.commands.values()) if isinstance(command, click.Group) else []
        for option in (option for one in (command, *below) for option in one.params):
            if isinstance(option, click.Option) and not option.hidden:
                for word in (*option.opts, *option.secondary_opts):
                    assert f"`{word}" in section[1], f"{name}: {word} is not described"
        for one in below:
            assert f"bundle {name} {one.name}" in section[1], f"{name} {one.name} is not described"
