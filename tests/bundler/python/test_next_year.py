"""A bundle gives the same environment later: the index has newer versions then, or other files, or none."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from simple_index import SimpleIndex, simple_index, wheel

from tiffin.bundler.check.environment import clean_environment
from tiffin.bundler.python import requirements as requirements_module
from tiffin.bundler.python.dependencies import Code, dependencies
from tiffin.bundler.python.environment import this_python
from tiffin.bundler.python.lockfile import read_lock
from tiffin.errors import BuildError
from tiffin.runtime.manifest import ServiceSpec
from tiffin.runtime.service.bundlefile import PythonOptions

THIS_YEAR = dict([
    wheel("alpha", "1.0", alpha="SINCE = 1"), wheel("alpha", "2.0", alpha="SINCE = 2"),
    wheel("beta", "1.0", requires=("alpha>=1",), beta="SINCE = 1"),
])  # fmt: skip
NEWER = dict([wheel("alpha", "3.0", alpha="SINCE = 3"), wheel("beta", "1.1", requires=("alpha>=3", "gamma"))])
PROGRAM = """
import alpha, beta, importlib.metadata as m
print(alpha.SINCE, beta.SINCE, *sorted(f"{each.name}=={each.version}" for each in m.distributions()))
"""
EXPECTED = "2 1 alpha==2.0 beta==1.0\n"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleIndex]:
    monkeypatch.setattr(requirements_module, "requires", lambda _: ["alpha"])
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    machine(tmp_path / "first", monkeypatch)
    with simple_index(dict(THIS_YEAR)) as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        yield index


@pytest.fixture
def bundle(tmp_path: Path, index: SimpleIndex) -> Path:
    """`env/python` of a bundle of this year."""
    return build(tmp_path / "bundle")


def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine: no cache of uv's and none of ours."""
    monkeypatch.setenv("TIFFIN_HOME", str(folder / "home"))
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv"))


def build(folder: Path, **files: str) -> Path:
    project = folder / "project"
    project.mkdir(parents=True)
    for name, text in (files or {"requirements.txt": "beta\n"}).items():
        (project / name).write_text(text)
    service = ServiceSpec(name="s", cls="s:S")
    found = dependencies(project, PythonOptions(), Code(project, ["s"]), models=(), service=service)
    for path, text in found.texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def versions(bundle: Path) -> dict[str, str]:
    lock = read_lock((bundle / "env/python/requirements.lock").read_text())
    return {package.name: package.version for package in lock}


def environment_of(bundle: Path) -> str:
    """What a process in an environment of its lock sees."""
    with clean_environment(bundle, this_python()) as made:
        run = subprocess.run([made.python, "-I", "-c", PROGRAM], capture_output=True, text=True, check=True)
    return run.stdout


def test_newer_versions_change_nothing(
    tmp_path: Path, bundle: Path, index: SimpleIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.files.update(NEWER)
    machine(tmp_path / "second", monkeypatch)
    assert environment_of(bundle) == EXPECTED
    index.asked.clear()
    machine(tmp_path / "first", monkeypatch)
    text = (bundle / "env/python/requirements.lock").read_text()
    again = build(tmp_path / "again")  # the machine that built it remembers its lock
    assert (again / "env/python/requirements.lock").read_text() == text
    assert not index.asked
    machine(tmp_path / "third", monkeypatch)
    newer = build(tmp_path / "newer")  # another does not: what must stay has to be in a lock of the project
    assert versions(newer) == {"alpha": "3.0", "beta": "1.0"}
    kept = build(tmp_path / "kept", **{"requirements.txt": text})
    assert (kept / "env/python/requirements.lock").read_text() == text


def test_without_any_index(
    tmp_path: Path, bundle: Path, index: SimpleIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(tmp_path / "second", monkeypatch)
    assert environment_of(bundle) == EXPECTED
    index.files.clear()
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "third"))  # uv's cache is still there
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert environment_of(bundle) == EXPECTED


def test_what_was_removed_is_not_replaced(
    tmp_path: Path, bundle: Path, index: SimpleIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.files.update(NEWER)
    del index.files["alpha-2.0-py3-none-any.whl"]
    machine(tmp_path / "second", monkeypatch)
    with pytest.raises(BuildError, match=r"(?s)could not be made here; uv says:.*alpha==2\.0"):
        environment_of(bundle)


def test_another_file_of_the_same_version_is_refused(
    tmp_path: Path, bundle: Path, index: SimpleIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.files.update([wheel("alpha", "2.0", alpha="SINCE = 'stolen'")])
    machine(tmp_path / "second", monkeypatch)
    with pytest.raises(
        BuildError, match=r"(?si)could not be made here; uv says:.*hash.*alpha==2\.0|alpha.*hash"
    ):
        environment_of(bundle)
