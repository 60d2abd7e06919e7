"""Wheels of packages that no index has."""

from __future__ import annotations

import io
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from projects import write
from simple_index import wheel as made_wheel

from tiffin.bundler.python import packing
from tiffin.bundler.python.environment import environment
from tiffin.bundler.python.needs import Local
from tiffin.bundler.python.packing import pack, repack
from tiffin.bundler.python.wheel import Wheel
from tiffin.errors import BuildError

HERE = environment("3.12", "linux/amd64")
BACKEND = """
import os, pathlib, time, zipfile
def get_requires_for_build_wheel(settings=None): return []
def build_wheel(folder, settings=None, metadata=None):
    pathlib.Path("written.txt").write_text("beside the source")
    name = "my_lib-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w", zipfile.ZIP_DEFLATED) as file:
        for each in ("my_lib-1.0.dist-info/METADATA", "my_lib-1.0.dist-info/WHEEL", "my_lib/__init__.py"):
            text = pathlib.Path(each.rpartition("/")[2]).read_text()
            file.writestr(zipfile.ZipInfo(each, time.gmtime(time.time() + os.getpid() % 1000 * 10)[:6]), text)
        file.writestr("my_lib-1.0.dist-info/RECORD", "")
    return name
"""
SOURCE = {
    "pyproject.toml": "[build-system]\nrequires=[]\nbuild-backend='backend'\nbackend-path=['.']\n",
    "backend.py": BACKEND,
    "__init__.py": "X = 1\n",
    "METADATA": "Metadata-Version: 2.1\nName: my-lib\nVersion: 1.0\n",
    "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def names(wheel: Wheel) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(wheel.data)) as file:
        return file.namelist()


def test_a_folder_is_built_once_and_gives_the_same_bytes(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By uv itself, with a backend that needs nothing from an index."""
    folder = write(tmp_path / "lib", {**SOURCE, "build/lib/stale.py": "", "x.egg-info/PKG-INFO": ""})
    local = Local(folder, "requirements.txt line 1")
    first = pack(local, HERE)
    assert (first.name, first.version) == ("my_lib-1.0-py3-none-any.whl", "1.0")
    assert names(first)[0] == "my_lib/__init__.py"
    assert not (folder / "written.txt").exists()
    (kept,) = (home / "cache" / "wheels").glob("*/*.whl")
    kept.unlink()
    kept.parent.rmdir()
    assert pack(Local(folder, "elsewhere"), HERE) == first
    monkeypatch.setattr(packing, "_build", lambda *_: pytest.fail("built again"))
    assert pack(local, HERE) == first
    write(folder, {"__init__.py": "X = 2\n"})
    with pytest.raises(pytest.fail.Exception, match="built again"):
        pack(local, HERE)


def test_what_cannot_be_built(tmp_path: Path) -> None:
    with pytest.raises(
        BuildError, match=r"line 7: .* is no package: it has no pyproject.toml and no setup.py"
    ):
        pack(Local(write(tmp_path / "a", {"x.py": ""}), "line 7"), HERE)
    broken = write(tmp_path / "b", {**SOURCE, "backend.py": "raise OSError('no backend here')"})
    with pytest.raises(BuildError, match=r"(?s)line 7: .* cannot be built: uv: "):
        pack(Local(broken, "line 7"), HERE)


def test_a_wheel_goes_in_as_it_is(tmp_path: Path) -> None:
    name, data = made_wheel("my-lib")
    (tmp_path / name).write_bytes(data)
    assert pack(Local(tmp_path / name, "x"), environment("3.10", "linux/arm64")) == Wheel(name, "1.0", data)


@pytest.mark.parametrize(
    ("tag", "python", "platform", "fits"),
    [
        ("cp312-cp312-linux_x86_64", "3.12", "linux/amd64", True),
        ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", "3.12", "linux/amd64", True),
        ("cp312-cp312-linux_x86_64", "3.11", "linux/amd64", False),
        ("cp312-cp312-linux_x86_64", "3.12", "linux/arm64", False),
        ("cp310-abi3-linux_x86_64", "3.12", "linux/amd64", True),
        ("py3-none-linux_x86_64", "3.12", "linux/amd64", True),
        ("cp312-cp312-macosx_11_0_arm64", "3.12", "linux/arm64", False),
    ],
)
def test_compiled_code(tmp_path: Path, tag: str, python: str, platform: str, fits: bool) -> None:
    path = tmp_path / f"my_lib-1.0-{tag}.whl"
    path.write_bytes(made_wheel("my-lib")[1])
    local = Local(path, "requirements.txt line 1")
    if fits:
        assert pack(local, environment(python, platform)).name == path.name
        return
    with pytest.raises(BuildError, match=rf"line 1: .* holds compiled code, .*Python {python}: build there"):
        pack(local, environment(python, platform))


def test_what_is_installed_becomes_a_wheel_again(tmp_path: Path) -> None:
    name, data = made_wheel("my-lib", "2.0", my_lib="X = 1", other="")
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        file.extractall(tmp_path)
    folder = tmp_path / "my_lib-2.0.dist-info"
    record = folder / "RECORD"
    write(tmp_path, {"__pycache__/my_lib.cpython-312.pyc": "", f"{folder.name}/INSTALLER": "pip\n"})
    more = "../../bin/tool,,\n__pycache__/my_lib.cpython-312.pyc,,\nmy_lib-2.0.dist-info/INSTALLER,,\n"
    record.write_text(record.read_text() + more)
    assert repack(PathDistribution(folder)) == Wheel(name, "2.0", data)
    record.unlink()
    with pytest.raises(BuildError, match=r"my-lib 2\.0 does not say which files it has"):
        repack(PathDistribution(folder))
