"""The line of an entry, in whatever way its file is written."""

from __future__ import annotations

from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st
from projects import write

from tiffin.bundler.python.environment import environment
from tiffin.bundler.python.lines import toml_key_line, toml_line, yaml_lines
from tiffin.bundler.python.sources import read_source
from tiffin.runtime.service.bundlefile import PythonOptions

PYPROJECT = """
[build-system]
requires = ["numpy>=1"]
[project]
name = "p"
dependencies = [
    "numpy>=1", # "rich"
    'rich',
]
[project.optional-dependencies]
gpu = ["rich", "cupy \\u003e 1"]
all = ["p[gpu]"]
[dependency-groups]
serve = [
  "uvloop",
]
"""


def test_a_pyproject(tmp_path: Path) -> None:
    folder = write(tmp_path, {"pyproject.toml": PYPROJECT})
    options = PythonOptions(extras=["all"], groups=["serve"])
    needs = read_source(folder / "pyproject.toml", folder, options, environment())
    assert {each.text: each.where for each in needs.wanted} == {
        "numpy>=1": "pyproject.toml line 7",
        "rich": "pyproject.toml line 7",  # a comment deceives it, and no harm is done
        "uvloop": "pyproject.toml line 15 (group serve)",
        "cupy > 1": "pyproject.toml (extra gpu)",
    }


def test_tables_of_toml() -> None:
    text = '[a]\nx = 1\n[b]\n# x\n"x" = 2\ny=3\n'
    assert [toml_key_line(text, key, "[b]") for key in ("x", "y", "z")] == [5, 6, 0]
    assert (toml_line("a = 'v'\n[s]\nb = \"v\"", "v", "[s]"), toml_line("", "v")) == (3, 0)


names = st.lists(st.from_regex(r"[a-z]{1,5}(>=[0-9])?", fullmatch=True), max_size=5)


@given(names, names, st.booleans())
def test_a_list_of_yaml(first: list[str], second: list[str], flow: bool) -> None:
    """As many lines as entries, each holding its own."""
    entries: list[object] = [*first, {"pip": second}]
    text = "# x\n" + yaml.safe_dump({"name": "e", "dependencies": entries}, default_flow_style=flow)
    *lines, inner = yaml_lines(text, "dependencies")
    written = text.splitlines()
    assert isinstance(inner, list)
    assert (len(lines), len(inner)) == (len(first), len(second))
    for number, entry in [*zip(lines, first, strict=True), *zip(inner, second, strict=True)]:
        assert isinstance(number, int)
        assert entry in written[number - 1]


def test_yaml_that_is_something_else() -> None:
    for text in ("", "[]", "dependencies: 1", "other: [1]"):
        assert yaml_lines(text, "dependencies") == []
