from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiffin.errors import ConfigError
from tiffin.runtime.service.bundlefile import BundleFile, PythonOptions, _convert, find_bundlefile
from tiffin.runtime.service.bundlefile_words import _EXAMPLES

FULL = """
service: service:Iris
name: iris
description: Names an iris.
labels: {team: botany}
include: ["*.py"]
exclude: [data/]
models: ["iris:latest", other]
python:
  requirements: requirements.txt
  packages: ["scikit-learn>=1.4"]
"""


def written(folder: Path, text: str, name: str = "bundlefile.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_every_key(tmp_path: Path) -> None:
    assert find_bundlefile(written(tmp_path, FULL)) == BundleFile(
        service="service:Iris",
        name="iris",
        description="Names an iris.",
        labels={"team": "botany"},
        include=["*.py"],
        exclude=["data/"],
        models=["iris:latest", "other"],
        python=PythonOptions(requirements="requirements.txt", packages=["scikit-learn>=1.4"]),
    )


def test_nothing_and_empty(tmp_path: Path) -> None:
    assert find_bundlefile(tmp_path) is None
    assert find_bundlefile(written(tmp_path, "# later\n")) == BundleFile()


def test_pyproject(tmp_path: Path) -> None:
    written(tmp_path, "[project]\nname = 'x'\n", "pyproject.toml")
    assert find_bundlefile(tmp_path) is None
    written(tmp_path, "[tool.tiffin]\nservice = 'service:Iris'\nmodels = ['iris']\n", "pyproject.toml")
    assert find_bundlefile(tmp_path) == BundleFile(service="service:Iris", models=["iris"])


def test_both_are_one_too_many(tmp_path: Path) -> None:
    written(tmp_path, "[tool.tiffin]\n", "pyproject.toml")
    with pytest.raises(ConfigError, match="keep one of the two"):
        find_bundlefile(written(tmp_path, FULL))


@pytest.mark.parametrize("name", ["bundlefile.yml", "Bundlefile.yaml", "BUNDLEFILE", "bundle-file.yaml"])
def test_a_name_that_is_nearly_right_is_not_overlooked(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as told:
        find_bundlefile(written(tmp_path, FULL, name))
    assert str(told.value) == f"{tmp_path / name} is not read; rename it to bundlefile.yaml"


def test_examples_are_of_the_language_of_the_file(tmp_path: Path) -> None:
    written(tmp_path, "[tool.tiffin]\npython = 3.12\n", "pyproject.toml")
    with pytest.raises(ConfigError, match=r'write python = \{version = "3\.12"\}$'):
        find_bundlefile(tmp_path)
    written(tmp_path, "[tool.tiffin.python]\npackages = 'numpy'\n", "pyproject.toml")
    with pytest.raises(ConfigError, match=r'write python\.packages = \["scikit-learn>=1\.4"\]$'):
        find_bundlefile(tmp_path)


def test_every_example_is_one_that_is_taken() -> None:
    for key, value in _EXAMPLES.items():
        section, _, name = key.rpartition(".")
        _convert({section: {name: value}} if section else {name: value}, "here")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("servce: x", r"unknown key servce; did you mean 'service'\?"),
        ("python: {package: [x]}", r"unknown key python\.package; did you mean 'packages'\?"),
        ("models: iris", r'models: "iris" is text and must be a list; write models: \[iris\]$'),
        ("labels: {a: 1}", r"labels\.a: 1 is a number and must be text: put it between quotes, '1'$"),
        ("labels: {1: a}", r"labels: the key 1 is a number and must be text: put it between quotes, '1'$"),
        (
            "labels: [a]",
            r'labels: \["a"\] is a list and must be a map of keys; write labels: \{team: botany\}$',
        ),
        (
            "python: 3.12",
            r"python: 3\.12 is a number and must be a map of keys; write python: \{version: '3\.12'\}$",
        ),
        ("python: {version: 3.10}", r"python\.version: 3\.1 is a number .* and 3\.10 is not 3\.1: put it"),
        ("python: {indexes: [{name: a}]}", r"python\.indexes\[0\]: url is missing; write python: "),
        ("python: {indexes: [{name: a, url: b, x: c}]}", r"python\.indexes\[0\]: unknown key x; write "),
        ("metrics: {a: 1, b: much}", r'metrics\.b: "much" is text and must be a number$'),
        ("service: 2026-01-01", r'service: "2026-01-01" is a date and must be text; write service: '),
        ("image: {user: true}", r"image\.user: true is true or false and must be a whole number; write "),
        ("image: {user: -1}", r"image: user: -1 is out of range; use a whole number from 0 to 2147483647$"),
        ("image: {accelerator: cuda}", r'image\.accelerator: "cuda" is not known; write .*accelerator: rocm'),
        ("- a", "must be a map of keys"),
        ("a: [", "is not YAML"),
        ("!!python/object/apply:os.getcwd []", "is not YAML"),
        ("models: [Iris]", "bad name 'Iris'"),
        ("name: iris:3", "name 'iris:3' carries a version"),
        ("name: iris:latest", "name 'iris:latest' carries a version"),
        ("1: 2", "unknown key 1"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        find_bundlefile(written(tmp_path, text))
    assert str(tmp_path / "bundlefile.yaml") in str(caught.value)


def test_broken_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pyproject\.toml is not TOML"):
        find_bundlefile(written(tmp_path, "[tool", "pyproject.toml"))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "bundlefile.yaml").write_bytes(b"\xff\xfe\x00service")
    with pytest.raises(ConfigError):
        find_bundlefile(tmp_path)


TEXT = st.text("ab:. -é", max_size=8)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*BundleFile.__struct_fields__, "other"]), values, max_size=4))
def test_any_map_converts_or_is_a_config_error(raw: dict[str, object]) -> None:
    try:
        assert isinstance(_convert(raw, "here"), BundleFile)
    except ConfigError as error:
        assert "here" in str(error)
