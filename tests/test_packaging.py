"""What a wheel holds is written out in pyproject.toml: a new room must not be forgotten there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
ROOMS = ("bundler", "cli", "runtime", "templates")


def setup() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]  # type: ignore[no-any-return]


def tracked() -> list[Path]:
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()]
    return [path.relative_to(ROOT) for path in found if "__pycache__" not in path.parts]


def test_every_folder_is_a_package_of_the_wheel() -> None:
    folders = {".".join(["tiffin", *path.parent.parts]) for path in tracked()}
    assert sorted(setup()["packages"]) == sorted({*folders, "tiffin"})


def test_every_file_that_is_no_code_is_package_data() -> None:
    patterns = setup()["package-data"]
    for path in tracked():
        if path.suffix != ".py":
            package = ".".join(["tiffin", *path.parent.parts])
            assert any(path.match(pattern) for pattern in patterns[package]), path
    assert "py.typed" in patterns["tiffin"]


def test_the_package_imports_without_any_extra() -> None:
    """A framework or pandas at the top of a module would break `pip install tiffin`."""
    extras = ["sklearn", "xgboost", "torch", "pandas", "PIL", "pydantic", "uv", "httpx", "grpc"]
    code = (
        f"import sys\nfor name in {extras}: sys.modules[name] = None\n"
        "import importlib, pkgutil, tiffin\n"
        "skip = ('__main__',)\n"
        "for found in pkgutil.walk_packages(tiffin.__path__, 'tiffin.'):\n"
        "    room = found.name.split('.')[1]\n"
        f"    if room in {ROOMS} and not found.name.endswith(skip): importlib.import_module(found.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
