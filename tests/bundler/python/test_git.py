"""Packages of repositories: pinned to the commit of the day, from a real server over HTTP."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_server import commit, git, git_server
from simple_index import simple_index, wheel

from tiffin.bundler.check.environment import clean_environment
from tiffin.bundler.python import requirements as requirements_module
from tiffin.bundler.python.dependencies import Code, Dependencies, dependencies
from tiffin.bundler.python.environment import this_python
from tiffin.bundler.python.uv import find_uv
from tiffin.errors import BuildError
from tiffin.runtime.manifest import ServiceSpec
from tiffin.runtime.service.bundlefile import PythonOptions

# A package whose build needs nothing from an index; half of it is a submodule.
PYPROJECT = """
[project]
name = "far"
version = "{version}"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """
import pathlib, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    version = next(l for l in open("pyproject.toml") if l.startswith("version")).split('"')[1]
    name, info = f"far-{version}-py3-none-any.whl", f"far-{version}.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as archive:
        archive.write("far.py", "far.py")
        archive.write("shared/shared.py", "shared.py")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: far\\nVersion: {version}\\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(f"{info}/RECORD", "")
    return name
"""


class Forge:
    """Two repositories: `far`, whose package lies in `py/`, and `shared`, a submodule of it."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = f"git+{url}/far/.git"
        commit(root / "shared", shared_py="NAME = 'shared'")
        commit(root / "far", py__pyproject_toml=PYPROJECT.format(version="1.0"), py__backend_py=BACKEND)
        git(root / "far", "submodule", "--quiet", "add", f"{url}/shared/.git", "py/shared")
        self.first = commit(root / "far", py__far_py="VERSION = 1")
        git(root / "far", "tag", "v1")

    def move_on(self) -> str:
        """Another commit of `main`."""
        return commit(
            self.root / "far", py__pyproject_toml=PYPROJECT.format(version="2.0"), py__far_py="VERSION = 2"
        )


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    monkeypatch.setattr(requirements_module, "requires", lambda _: ["alpha"])
    for name in ("UV_NO_CONFIG", "UV_NO_PROGRESS"):
        monkeypatch.setenv(name, "1")
    machine(tmp_path / "first", monkeypatch)
    with simple_index(dict([wheel("alpha")])) as index, git_server(tmp_path / "repositories") as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        yield Forge(tmp_path / "repositories", url)


def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(folder / "home"))
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv"))


def made(folder: Path, lock: bool | None = True, **files: str) -> Dependencies:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    code, service = Code(folder, ["service"]), ServiceSpec(name="s", cls="service:S")
    found = dependencies(folder, PythonOptions(), code, models=(), service=service, lock=lock)
    for path, text in found.texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return found


def pinned(found: Dependencies) -> str:
    assert found.lock is not None
    return next(line for line in found.lock.text.splitlines() if line.startswith("far @ "))


@pytest.mark.parametrize("reference", ["@main", "@v1", ""])
def test_a_branch_is_pinned_to_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forge: Forge, reference: str
) -> None:
    line = f"far @ {forge.url}{reference}#subdirectory=py"
    found = made(tmp_path / "p", requirements_txt=line)
    assert pinned(found) == f"far @ {forge.url}@{forge.first}#subdirectory=py"
    second = forge.move_on()
    machine(tmp_path / "second", monkeypatch)
    if reference == "@main":
        with clean_environment(tmp_path / "p", this_python()) as there:
            program = [there.python, "-I", "-c", "import far, shared; print(far.VERSION, shared.NAME)"]
            assert subprocess.run(program, capture_output=True, text=True, check=True).stdout == "1 shared\n"
        assert pinned(made(tmp_path / "p")) == f"far @ {forge.url}@{second}#subdirectory=py"


def test_what_is_installed_from_a_branch_stays_at_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forge: Forge
) -> None:
    uv = find_uv()
    assert uv is not None
    line = f"far @ {forge.url}@main#subdirectory=py"
    install = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        sys.executable,
        "--target",
        str(tmp_path / "site"),
        line,
    ]
    subprocess.run(install, check=True)
    forge.move_on()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    found = made(tmp_path / "p", service_py="import far\nimport shared\n")
    assert pinned(found) == f"far @ {forge.url}@{forge.first}#subdirectory=py"


def test_a_repository_that_there_is_not(tmp_path: Path, forge: Forge) -> None:
    address = forge.url.replace("/far/", "/fur/")
    with pytest.raises(
        BuildError, match=r"(?s)^the requirements cannot be locked\n.*uv says:.*Git operation failed"
    ):
        made(tmp_path / "p", lock=None, requirements_txt=f"far @ {address}@main#subdirectory=py")
    with pytest.raises(BuildError, match=r"(?s)uv says:.*(branch|reference|revision).*nowhere"):
        made(tmp_path / "q", lock=None, requirements_txt=f"far @ {forge.url}@nowhere#subdirectory=py")


def test_ssh_is_told_because_images_have_no_key(tmp_path: Path) -> None:
    line = "far @ git+ssh://git@git.example/me/far.git@v1"
    found = made(
        tmp_path / "p", lock=False, requirements_txt=f"{line}\nnear @ git+https://git.example/near.git\n"
    )
    (note,) = found.notes
    assert note.startswith(
        "far comes by ssh (requirements.txt line 1): an image that is being built has no key"
    )


def test_beside_several_indexes(tmp_path: Path, forge: Forge) -> None:
    """Though a repository has no hash: the other packages have, so each may come from any index."""
    own = dict([wheel("own-lib"), wheel("alpha", "9.0")])
    with simple_index(own) as index:
        text = f"""
[project]
name = "p"
dependencies = ["own-lib", "far @ {forge.url}@v1#subdirectory=py"]
[tool.uv.sources]
own-lib = {{ index = "own" }}
[[tool.uv.index]]
name = "own"
url = "{index.url}"
explicit = true
"""
        made(tmp_path / "p", pyproject_toml=text)
        with clean_environment(tmp_path / "p", this_python()) as there:
            found = {path.name for path in there.python.parent.parent.glob("lib/*/site-packages/*.dist-info")}
    assert found == {"alpha-1.0.dist-info", "own_lib-1.0.dist-info", "far-1.0.dist-info"}
