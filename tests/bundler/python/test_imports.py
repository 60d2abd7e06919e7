"""Which imports count."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import write

from tiffin.bundler.python.imports import reachable_imports


def found(folder: Path, *modules: str) -> dict[str, tuple[str, bool]]:
    return {
        each.module: (each.where, each.optional)
        for each in reachable_imports(folder, modules or ("service",))
    }


def test_only_what_the_service_can_reach(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "service.py": "import pkg.deep\nfrom helper import x\nimport json, os.path",
            "helper.py": "import numpy as np",
            "pkg/__init__.py": "import rich",
            "pkg/deep/__init__.py": "from . import side\nfrom ..other import y\nfrom .. import third",
            "pkg/deep/side.py": "import httpx",
            "pkg/other.py": "import attr",
            "pkg/third.py": "import yaml",
            "pkg/unused.py": "import pandas",
            "train.py": "import torch",
            "tests/test_x.py": "import pytest",
        },
    )
    assert set(found(tmp_path)) == {"numpy", "rich", "httpx", "attr", "yaml"}
    assert set(found(tmp_path, "service", "pkg.unused")) > {"pandas"}
    assert found(tmp_path)["httpx"] == ("pkg/deep/side.py line 1", False)


def test_what_may_be_absent_and_what_is_never_there(tmp_path: Path) -> None:
    text = """
from typing import TYPE_CHECKING
import typing, importlib, sys
if TYPE_CHECKING:
    import pandas
else:
    import real
if typing.TYPE_CHECKING:
    import polars
if not TYPE_CHECKING:
    import also
try:
    import orjson
except (ImportError, KeyError):
    import json as orjson
    import fallback
else:
    import after
try:
    import plain
except ValueError:
    pass
if sys.version_info < (3, 11):
    import tomli
def lazy():
    from google.cloud import storage
    importlib.import_module("named.part")
    importlib.import_module(".own", __name__)
    importlib.import_module(name)
import tomli
"""
    imports = found(write(tmp_path, {"service.py": text}))
    assert {name: optional for name, (_, optional) in imports.items()} == {
        "real": False, "also": False, "orjson": True, "fallback": True, "after": False, "plain": False,
        "tomli": False, "google.cloud.storage": False, "named.part": False,
    }  # fmt: skip
    assert imports["orjson"][0] == "service.py line 13"


def test_files_that_are_not_python(tmp_path: Path) -> None:
    write(tmp_path, {"service.py": "import new\nimport numpy", "new.py": "match = = 1"})
    assert set(found(tmp_path)) == {"numpy"}
    assert found(tmp_path, "none") == {}


names = st.text(string.ascii_lowercase, min_size=3, max_size=8).map(lambda text: f"x{text}")


@given(st.lists(names, unique=True, min_size=1, max_size=6), st.integers(0, 3))
def test_every_statement_counts_at_any_depth(
    tmp_path_factory: pytest.TempPathFactory, modules: list[str], depth: int
) -> None:
    blocks = ["def f():", "class C:", "with open(x) as y:", "for i in z:"][:depth]
    head = "".join("    " * level + f"{line}\n" for level, line in enumerate(blocks))
    text = head + "".join("    " * depth + f"import {name}.sub\n" for name in modules)
    folder = tmp_path_factory.mktemp("source")
    (folder / "service.py").write_text(text)
    assert set(found(folder)) == {f"{name}.sub" for name in modules}
