"""The page on notebooks, and the example, name only what exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import tiffin
from tiffin.cli.ipython.magic import commands

HOUSE = Path(tiffin.__file__).parent


@pytest.mark.parametrize("path", ["docs/23-notebook.md", "examples/iris_notebook/train.ipynb"])
def test_commands_and_options_exist(path: str) -> None:
    context = click.Context(commands, info_name="%bundle")
    found = re.findall(r"(?<!%)%bundle ([a-z]+)((?: --?[a-z][a-z-]*)*)", (HOUSE / path).read_text())
    assert found
    for name, options in found:
        command = commands.get_command(context, name)
        assert command is not None, f"no command {name}"
        known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
        assert set(options.split()) <= {*known, "--help"}


def test_every_command_of_a_notebook_is_described() -> None:
    page = (HOUSE / "docs" / "23-notebook.md").read_text()
    for name in ("build", "serve", "servers", "logs", "stop"):
        assert f"`%bundle {name}" in page
