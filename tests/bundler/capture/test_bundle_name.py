"""`%%bundle service --name flowers`: what bundles of the class are called."""

from __future__ import annotations

import pytest

from tiffin.bundler.capture.cell import Cell

BODY = "import tiffin\n@tiffin.service\nclass Iris:\n    pass\nclass Other:\n    pass\n"


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("%%bundle service --name flowers", "flowers"),
        ("\n%%bundle  service Iris --name=flowers", "flowers"),
        ("%%bundle service", ""),
        ("# tiffin: service --name flowers", ""),
        ("%%bundle service\n# --name flowers", ""),
    ],
)
def test_the_name_stands_on_the_first_line(first: str, name: str) -> None:
    assert Cell(f"{first}\n{BODY}", 1).bundle_name("Iris") == name


def test_it_is_of_the_service_that_the_cell_defines() -> None:
    assert Cell(f"%%bundle service --name flowers\n{BODY}", 1).bundle_name("Rose") == ""
