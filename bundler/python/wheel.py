"""A wheel of the tiffin that runs here: images install the very code that the service was checked with.

It is put together from the installed package, a checkout installed with `pip install -e` included
(https://packaging.python.org/en/latest/specifications/binary-distribution-format/). The same files make
the same bytes on every machine: entries are sorted, without times, and stored rather than deflated, because
zlib's versions differ (an archive of a bundle and a layer of an image are compressed as a whole).

The wheel is for any platform, so it takes no compiled modules along. One that is there is left out: whatever
is compiled in tiffin must have a twin in Python, and an image would be built for another platform than this.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Container, Iterator
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import msgspec

from ...errors import BuildError

DISTRIBUTION = __package__.partition(".")[0]
_ROOMS = ("bundler", "cli", "runtime", "templates")
_COMMAND = "bundle-serve"
_TIME = (1980, 1, 1, 0, 0, 0)
"""The oldest that a zip can hold."""
_MODE = 0o100644 << 16
_PROGRAM_MODE = 0o100755 << 16
_COMPILED = {".so", ".pyd", ".dylib", ".pyc"}
_WHEEL = f"Wheel-Version: 1.0\nGenerator: {DISTRIBUTION}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class Wheel(msgspec.Struct, frozen=True):
    """A wheel and its name."""

    name: str
    """`tiffin-0.1.0-py3-none-any.whl`"""
    version: str
    data: bytes

    @property
    def sha256(self) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


@lru_cache(maxsize=1)
def runtime_wheel() -> Wheel:
    """The wheel of this process's own package.

    Raises:
        BuildError: it is not installed, or was installed before its commands were what they are.
    """
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        raise BuildError(
            f"{DISTRIBUTION} runs from a folder that is not installed, so no wheel of it can be made: "
            "install it with pip"
        ) from None
    return make_wheel(Path(__file__).parents[2], installed)


def make_wheel(package: Path, installed: Distribution) -> Wheel:
    """
    Args:
        package: the folder of the package.
        installed: its metadata.

    Raises:
        BuildError: the metadata do not know the command that images start.
    """
    if not any(point.name == _COMMAND for point in installed.entry_points):
        raise BuildError(
            f"{DISTRIBUTION} {installed.version} in {package} was installed before it had the command "
            f"{_COMMAND}: install it again (pip install -e {package})"
        )
    folder = f"{DISTRIBUTION}-{installed.version}.dist-info"
    files = {f"{DISTRIBUTION}/{path}": (package / path).read_bytes() for path in _modules(package)}
    files |= {f"{folder}/{name}": text.encode() for name, text in _metadata(installed).items()}
    name = f"{DISTRIBUTION}-{installed.version}-py3-none-any.whl"
    return Wheel(name, installed.version, write_wheel(files, folder))


def write_wheel(files: dict[str, bytes], folder: str, *, executable: Container[str] = ()) -> bytes:
    """The bytes of a wheel; the same files give the same.

    Args:
        files: content by path; `RECORD` is written here.
        folder: `name-1.0.dist-info`, whose files come last, as the specification recommends.
        executable: paths of programs.
    """
    record = f"{folder}/RECORD"
    rows = [f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in sorted(files.items())]
    files = {**files, record: "".join([*rows, f"{record},,\n"]).encode()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files, key=lambda path: (path.startswith(folder), path)):
            entry = zipfile.ZipInfo(path, _TIME)
            entry.external_attr = _PROGRAM_MODE if path in executable else _MODE
            entry.create_system = 3  # Unix, wherever it is made: else the mode would not count
            archive.writestr(entry, files[path])
    return buffer.getvalue()


def _modules(package: Path) -> Iterator[str]:
    """POSIX paths of what the package consists of; a checkout holds tests and more beside it."""
    for path in package.iterdir():
        if path.is_file() and (path.suffix == ".py" or path.name == "py.typed"):
            yield path.name
    for room in _ROOMS:
        for path in (package / room).rglob("*"):
            if path.is_file() and path.suffix not in _COMPILED and "__pycache__" not in path.parts:
                yield path.relative_to(package).as_posix()


def _metadata(installed: Distribution) -> dict[str, str]:
    # `python -m` in the source folder finds the egg-info of an editable installation: PKG-INFO, it says.
    described = installed.read_text("METADATA") or installed.read_text("PKG-INFO") or ""
    found = {"METADATA": described, "WHEEL": _WHEEL}
    for name in ("entry_points.txt", "licenses/LICENSE"):
        if text := installed.read_text(name):
            found[name] = text
    return found


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
