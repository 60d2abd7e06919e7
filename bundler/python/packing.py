"""Packages that no index has become wheels in the bundle, the same bytes from the same source.

A folder is built by its own backend (`uv build`), in a copy, so that nothing is written beside the source and
nothing stale is taken from there. What is installed from a folder that may be gone is put together again from
its installed files. Built wheels are kept in `<home>/cache/wheels` by the content that they were made of.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

from ...errors import BuildError
from ...runtime.home import home
from ..snapshot import list_sources
from .environment import Environment, host_machine, this_python
from .installed import installed, name_of_distribution
from .needs import Local, canonical
from .uv import find_uv, reason, run_uv
from .wheel import Wheel, write_wheel

_RECIPE = "1"
_EPOCH = "315532800"
_EXCLUDED = ("build", "dist", "*.egg-info", ".git", "*.pyc", ".venv", "venv")
# Where it came from on this machine, who installed it, and bytecode say nothing elsewhere.
_NOT_PACKED = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}
_WHEEL_NAME = re.compile(
    r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl"
)


def pack(local: Local, where: Environment) -> Wheel:
    """
    Args:
        local: a folder with source, a wheel, an archive of source, or where a package is installed.
        where: what the wheel must run on.

    Raises:
        BuildError: it cannot be built, or holds code that was compiled for another platform or Python.
    """
    if local.path.suffix == ".whl":
        wheel = _named(local.path.name, local.path.read_bytes())
    elif owner := _installed_in(local):
        wheel = repack(owner)
    else:
        wheel = _built(local)
    _check_tags(wheel, local, where)
    return wheel


def repack(owner: Distribution) -> Wheel:
    """The wheel that an installed distribution came from, but for its scripts, which installers write anew.

    Raises:
        BuildError: its list of files is gone.
    """
    name, version = name_of_distribution(owner), owner.version
    if not owner.files:
        raise BuildError(f"{name} {version} does not say which files it has: install it again")
    files: dict[str, bytes] = {}
    for file in owner.files:
        path = file.as_posix()
        own = path.partition("/")[0].endswith(".dist-info")
        if path.startswith(("..", "/")) or "__pycache__" in file.parts or (own and file.name in _NOT_PACKED):
            continue
        files[path] = Path(str(owner.locate_file(file))).read_bytes()
    folder = next((path.partition("/")[0] for path in files if path.endswith(".dist-info/METADATA")), "")
    if not folder:
        raise BuildError(f"{name} {version} was installed in an old way: install it again with pip")
    tags = re.findall(r"^Tag:\s*(\S+)", files.get(f"{folder}/WHEEL", b"").decode(), re.MULTILINE) or [
        "py3-none-any"
    ]
    parts = zip(*(tag.split("-") for tag in tags), strict=True)
    tag = "-".join(".".join(dict.fromkeys(part)) for part in parts)
    stem = folder.removesuffix(".dist-info")
    return Wheel(f"{stem}-{tag}.whl", version, write_wheel(files, folder))


def _installed_in(local: Local) -> Distribution | None:
    """The distribution, when the folder is where packages are installed."""
    found = installed(local.name) if local.name and not local.editable else None
    return found if found is not None and Path(str(found.locate_file(""))) == local.path else None


def _built(local: Local) -> Wheel:
    uv = find_uv()
    if uv is None:
        raise BuildError(
            f"{local.where}: {local.path} must be built, and uv is not installed: pip install 'tiffin[lock]'"
        )
    source = local.path
    if source.is_dir() and not any((source / name).is_file() for name in ("pyproject.toml", "setup.py")):
        raise BuildError(f"{local.where}: {source} is no package: it has no pyproject.toml and no setup.py")
    key = hashlib.sha256(f"{_RECIPE} {this_python()} {host_machine()}\n".encode())
    files = list_sources(source, exclude=_EXCLUDED) if source.is_dir() else []
    for file in files:
        key.update(f"{file.path} {hashlib.sha256(file.source.read_bytes()).hexdigest()}\n".encode())
    if not files:
        key.update(source.read_bytes())
    cached = home() / "cache" / "wheels" / key.hexdigest()
    if kept := next(iter(sorted(cached.glob("*.whl"))), None):
        return _named(kept.name, kept.read_bytes())
    with tempfile.TemporaryDirectory(prefix="tiffin-wheel-") as name:
        folder = Path(name)
        copy = folder / "source" / source.name
        for file in files:
            (copy / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file.source, copy / file.path)
        made = _build(uv, copy if files else source, folder / "out", local)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=cached.parent) as name:
        (Path(name) / "new").mkdir()
        (Path(name) / "new" / made.name).write_bytes(made.data)
        if not cached.exists():
            (Path(name) / "new").rename(cached)
    return made


def _build(uv: str, source: Path, out: Path, local: Local) -> Wheel:
    command = [uv, "build", "--wheel", "--quiet", "--no-python-downloads", "--out-dir", str(out), str(source)]
    environment = {"SOURCE_DATE_EPOCH": _EPOCH, "PYTHONHASHSEED": "0", **os.environ, "NO_COLOR": "1"}
    owner = installed(local.name) if local.name else None
    if owner is not None:  # the copy has no repository to read the version from
        environment.setdefault("SETUPTOOLS_SCM_PRETEND_VERSION", owner.version)
    try:
        done = run_uv(command, cwd=out.parent, environment=environment)
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            f"{local.where}: building {local.path} took more than {error.timeout:.0f} s"
        ) from None
    wheels = sorted(out.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        raise BuildError(f"{local.where}: {local.path} cannot be built: {reason(done.stderr)}")
    return _named(wheels[0].name, _same_bytes(wheels[0]))


def _same_bytes(path: Path) -> bytes:
    """The wheel anew, without what differs between two builds: order, times, compression."""
    with zipfile.ZipFile(path) as archive:
        files = {each.filename: archive.read(each) for each in archive.infolist() if not each.is_dir()}
        executable = {each.filename for each in archive.infolist() if each.external_attr >> 16 & 0o111}
    folder = next(name.partition("/")[0] for name in files if name.endswith(".dist-info/METADATA"))
    files.pop(f"{folder}/RECORD", None)
    return write_wheel(files, folder, executable=executable)


def _named(name: str, data: bytes) -> Wheel:
    found = _WHEEL_NAME.fullmatch(name)
    if found is None:
        raise BuildError(f"{name} is not the name of a wheel")
    return Wheel(name, found["version"], data)


def _check_tags(wheel: Wheel, local: Local, where: Environment) -> None:
    found = _WHEEL_NAME.fullmatch(wheel.name)
    if found is None or found["platform"] == "any":
        return
    linux = [tag for tag in found["platform"].split(".") if "linux" in tag and tag.endswith(where.machine)]
    python = f"cp{where.python.replace('.', '')}"
    fits = python in found["python"].split(".") or "abi3" in found["abi"] or found["abi"] == "none"
    if not linux or not fits:
        raise BuildError(
            f"{local.where}: {wheel.name} holds compiled code, and the bundle is for Linux on {where.machine}"
            f" with Python {where.python}: build there, or put the package on an index that has both"
        )


def wheel_package(wheel: Wheel) -> str:
    """Canonical name of what a wheel holds."""
    return canonical(wheel.name.partition("-")[0])
