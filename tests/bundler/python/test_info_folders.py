"""What is installed, by the names of folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiffin.bundler.python.info_folders import info_folders, versions_of


@pytest.mark.parametrize(
    ("folder", "name", "version"),
    [
        ("numpy-2.1.0.dist-info", "numpy", "2.1.0"),
        ("ruamel.yaml-0.18.6.dist-info", "ruamel-yaml", "0.18.6"),
        ("torch-2.4.0+cpu.dist-info", "torch", "2.4.0+cpu"),
        ("toml-0.10.2.egg-info", "toml", "0.10.2"),
        ("python_apt-2.6.0-py3.11.egg-info", "python-apt", "2.6.0"),
        ("pyodbc-5.1.0-py3.13-linux-x86_64.egg-info", "pyodbc", "5.1.0"),
    ],
)
def test_names_and_versions(tmp_path: Path, folder: str, name: str, version: str) -> None:
    (tmp_path / folder).mkdir()
    found = info_folders([str(tmp_path)])
    assert found == {name: tmp_path / folder}
    assert versions_of(found) == {name: version}


def test_the_first_on_the_path_counts(tmp_path: Path) -> None:
    for place, version in (("a", "2.0"), ("b", "1.0")):
        (tmp_path / place / f"six-{version}.dist-info").mkdir(parents=True)
    assert versions_of(info_folders([str(tmp_path / "a"), str(tmp_path / "b"), "nowhere"])) == {"six": "2.0"}
