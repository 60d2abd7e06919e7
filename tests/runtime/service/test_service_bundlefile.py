from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiffin.errors import ConfigError
from tiffin.runtime.service.bundlefile import BundleFile, PythonOptions, _convert, find_bundlefile

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


def test_the_other_ending_is_not_overlooked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rename it to bundlefile\.yaml"):
        find_bundlefile(written(tmp_path, FULL, "bundlefile.yml"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("servce: x", r"unknown key servce; did you mean 'service'\?"),
        ("python: {package: [x]}", r"unknown key python\.package; did you mean 'packages'\?"),
        ("models: iris", r"Expected `array`, got `str` - at `\$\.models`"),
        ("labels: {a: 1}", r"Expected `str`, got `int` - at `\$\.labels"),
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
