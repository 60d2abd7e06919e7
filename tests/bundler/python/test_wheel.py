"""The wheel of tiffin that bundles carry."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest
from projects import write

from tiffin.bundler.python import wheel as wheel_module
from tiffin.bundler.python.uv import find_uv
from tiffin.bundler.python.wheel import make_wheel, runtime_wheel
from tiffin.errors import BuildError

ROOT = Path(__file__).parents[3]
POINTS = "[console_scripts]\nbundle-serve = tiffin.runtime.entrypoint:main\n"


def installed(folder: Path, points: str = POINTS) -> Distribution:
    write(
        folder,
        {"METADATA": "Metadata-Version: 2.4\nName: tiffin\nVersion: 1.2\n", "entry_points.txt": points},
    )
    return PathDistribution(folder)


def package(folder: Path) -> Path:
    return write(
        folder,
        {
            "__init__.py": "",
            "py.typed": "",
            "setup.cfg": "not of the package",
            "tests/test_x.py": "",
            "runtime/entrypoint.py": "def main(): ...\n",
            "runtime/fast.cpython-311-x86_64-linux-gnu.so": b"\x7fELF",
            "runtime/__pycache__/entrypoint.cpython-311.pyc": b"x",
            "templates/image/Dockerfile.j2": "FROM x\n",
        },
    )


def test_what_is_in_it(tmp_path: Path) -> None:
    made = make_wheel(package(tmp_path / "p"), installed(tmp_path / "tiffin-1.2.dist-info"))
    assert (made.name, made.version) == ("tiffin-1.2-py3-none-any.whl", "1.2")
    assert made.sha256 == hashlib.sha256(made.data).hexdigest()
    with zipfile.ZipFile(io.BytesIO(made.data)) as archive:
        assert archive.namelist() == [
            "tiffin/__init__.py",
            "tiffin/py.typed",
            "tiffin/runtime/entrypoint.py",
            "tiffin/templates/image/Dockerfile.j2",
            "tiffin-1.2.dist-info/METADATA",
            "tiffin-1.2.dist-info/RECORD",
            "tiffin-1.2.dist-info/WHEEL",
            "tiffin-1.2.dist-info/entry_points.txt",
        ]
        record = archive.read("tiffin-1.2.dist-info/RECORD").decode().splitlines()
        assert {row.split(",")[0] for row in record} == set(archive.namelist())
        for path, digest, size in (row.split(",") for row in record):
            if digest:
                data = archive.read(path)
                expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                assert (digest, size) == (f"sha256={expected}", str(len(data)))


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    one = make_wheel(package(tmp_path / "one"), installed(tmp_path / "tiffin-1.2.dist-info"))
    other = package(tmp_path / "two")
    (other / "__init__.py").chmod(0o600)
    assert make_wheel(other, installed(tmp_path / "tiffin-1.2.dist-info")).data == one.data
    (other / "__init__.py").write_text("x = 1\n")
    assert make_wheel(other, installed(tmp_path / "tiffin-1.2.dist-info")).data != one.data


def test_one_that_was_installed_before_the_command_existed(tmp_path: Path) -> None:
    old = installed(tmp_path / "tiffin-1.2.dist-info", "[console_scripts]\nbundle = tiffin.cli.main:main\n")
    with pytest.raises(BuildError, match="install it again"):
        make_wheel(package(tmp_path / "p"), old)


def test_one_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_module, "DISTRIBUTION", "no-such-distribution")
    runtime_wheel.cache_clear()
    with pytest.raises(BuildError, match="not installed"):
        runtime_wheel()
    monkeypatch.undo()
    runtime_wheel.cache_clear()


def test_it_installs_and_imports(tmp_path: Path) -> None:
    """By the same program and with the same options as in an image."""
    made = runtime_wheel()
    (tmp_path / made.name).write_bytes(made.data)
    (tmp_path / "wheel.txt").write_text(f"./{made.name} --hash=sha256:{made.sha256}\n")
    uv = find_uv()
    assert uv is not None, "uv is one of the extras of dev"
    options = ["--offline", "--no-deps", "--require-hashes", "--quiet", "--target", "out", "-r", "wheel.txt"]
    subprocess.run([uv, "pip", "install", "--python", sys.executable, *options], cwd=tmp_path, check=True)
    code = "import tiffin, tiffin.runtime.entrypoint as e, tiffin.bundler.image.dockerfile; print(e.__file__)"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, 'out')\n{code}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == tmp_path / "out/tiffin/runtime/entrypoint.py"
    assert (tmp_path / "out/bin/bundle-serve").exists()
    for each in ("templates/image/Dockerfile.j2", "templates/pages/page.html", "py.typed"):
        assert (tmp_path / "out/tiffin" / each).read_bytes() == (ROOT / each).read_bytes()
    assert not (tmp_path / "out/tiffin/tests").exists()
