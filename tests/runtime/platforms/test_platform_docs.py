"""docs/15-platforms.md tells all there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import tiffin
from tiffin.runtime.entry_options import OPTIONS
from tiffin.runtime.platforms.detect import PLATFORMS, PORT_VARIABLES

PAGE = (Path(tiffin.__file__).parent / "docs" / "15-platforms.md").read_text()


def rows(first: str) -> list[list[str]]:
    """Cells of the lines of a table whose first cell begins so."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith(f"| {first}")
    ]


def test_every_platform_in_its_order() -> None:
    told = [row for row in rows("`") if not row[0].startswith("`--")]
    assert [row[0].split("`")[1] for row in told] == [platform.name for platform in PLATFORMS]
    for platform, row in zip(PLATFORMS, told, strict=True):
        assert platform.title in row[0]
        assert set(platform.signs) <= set(re.findall(r"`(\w+)`", row[1]))
        assert set(platform.port_variables) <= set(re.findall(r"`(\w+)`", row[2]))
        assert row[4] == f"{platform.drain_s:g} s"
        routes = platform.routes({})
        paths = {*routes.health, *routes.predict, *routes.instances, *routes.documents}
        assert platform.name == "lambda" or paths <= set(re.findall(r"`(/[\w-]+)`", row[3]))


def test_every_option() -> None:
    told = [(row[0].strip("`"), row[1].strip("`")) for row in rows("`--")]
    assert told == [(option.name, option.variable) for option in OPTIONS]


def test_the_order_of_the_ports() -> None:
    (line,) = re.findall(r"\*\*Port\*\*: the first of (.*?)\nthat is set", PAGE, re.DOTALL)
    assert tuple(re.findall(r"`(\w+)`", line)) == PORT_VARIABLES
