"""`bundlefile.yaml`, or `[tool.tiffin]` in `pyproject.toml`: what a project wants in its bundle."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ...errors import ConfigError, InvalidTagError
from ..tag import Tag
from .bundlefile_words import wrong_value
from .image_options import ImageOptions
from .options import nearest

BUNDLEFILE = "bundlefile.yaml"
PYPROJECT = "pyproject.toml"
_TABLE = "[tool.tiffin]"
_LIKE = re.compile(r"bundle[-_ ]?file(?:\.ya?ml)?", re.IGNORECASE)


class IndexOptions(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An entry of `indexes:`; meaning and credentials as of uv's `[[index]]`."""

    name: str
    """Its password is in `UV_INDEX_<NAME>_PASSWORD` of the machine, `~/.netrc` or a keyring."""
    url: str
    """Without user or password."""
    default: bool = False
    """In place of PyPI."""
    explicit: bool = False
    """Only for packages that name it in `[tool.uv.sources]`."""


class PythonOptions(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Key `python:`"""

    requirements: str = ""
    """The file that says what is needed, relative to the folder: `requirements.txt`, `pyproject.toml`,
    `uv.lock`, `pylock.toml`, `poetry.lock`, `environment.yml`; empty: the first that is there, a lock before
    the others, and without any what the code imports."""
    packages: list[str] = []
    """Requirements written out: `scikit-learn>=1.4`."""
    extras: list[str] = []
    """Extras of the project to take along; for pyproject.toml and locks."""
    groups: list[str] = []
    """Dependency groups to take along; for pyproject.toml and locks."""
    version: str = ""
    """`3.12`: the Python that the bundle is locked for; empty: the one that builds it."""
    indexes: list[str | IndexOptions] = []
    """Package indexes besides PyPI, first before last: a name that uv.toml or `UV_INDEX` of the machine
    knows, or name and address."""
    lock: bool | None = None
    """Whether the bundle must have a lock (true) or has none (false); null: it has one, unless there is no uv
    or no index can be reached. `--lock` and `--no-lock` go before it."""


class BundleFile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One project."""

    service: str = ""
    """`module:Class` or `service.py:Class`, empty: the only service of `service.py`."""
    name: str = ""
    """Name of the bundle; empty: the service's."""
    description: str = ""
    labels: dict[str, str] = {}
    data: dict[str, str] = {}
    """Name to reference: `s3://bucket/train.parquet`; a file or folder that is there is hashed."""
    metrics: dict[str, float] = {}
    """Numbers to keep with the bundle: `accuracy: 0.97`."""
    include: list[str] = []
    """Patterns as in `.gitignore`; empty: everything."""
    exclude: list[str] = []
    """Patterns of what is left out, applied after `include`."""
    allow_secrets: list[str] = []
    """Paths of files that look like secrets and may go into the bundle all the same."""
    models: list[str] = []
    """Tags of models to take along besides those that the service's runners name."""
    python: PythonOptions = msgspec.field(default_factory=PythonOptions)
    platforms: list[str] = []
    """`linux/amd64`, `linux/arm64`: what images will be for besides Linux on the processor of the machine
    that builds; the requirements are locked for each."""
    image: ImageOptions = ImageOptions()


def find_bundlefile(folder: Path) -> BundleFile | None:
    """Reads `bundlefile.yaml` or `[tool.tiffin]` of `pyproject.toml` in a folder; None when there is neither.

    Raises:
        ConfigError: both exist, or one is damaged, has an unknown key or a value of the wrong type.
    """
    path = folder / BUNDLEFILE
    if misnamed := _misnamed(folder):
        raise ConfigError(f"{folder / misnamed} is not read; rename it to {BUNDLEFILE}")
    table = _tool_table(folder / PYPROJECT)
    if path.is_file():
        if table is not None:
            raise ConfigError(
                f"{folder} has both {BUNDLEFILE} and {_TABLE} in {PYPROJECT}; keep one of the two"
            )
        return _convert(_read_yaml(path), str(path))
    return None if table is None else _convert(table, f"{_TABLE} of {folder / PYPROJECT}")


def _misnamed(folder: Path) -> str:
    """`Bundlefile.yaml`: what was meant as the bundlefile, and nobody reads; empty: none."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError:  # no folder, or one whose files can be read and not listed
        return ""
    return next((name for name in names if name != BUNDLEFILE and _LIKE.fullmatch(name)), "")


def _read_yaml(path: Path) -> Any:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    return {} if raw is None else raw


def _tool_table(path: Path) -> Any:
    """`[tool.tiffin]`; None when the file or the table does not exist."""
    if not path.is_file():
        return None
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("tiffin")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _convert(raw: Any, where: str) -> BundleFile:
    if not isinstance(raw, dict):
        raise ConfigError(f"{where} must be a map of keys such as `service: service:Iris`, not {raw!r}")
    _refuse_unknown(raw, BundleFile, where, "")
    for name, kind in (("python", PythonOptions), ("image", ImageOptions)):
        if isinstance(raw.get(name), dict):
            _refuse_unknown(raw[name], kind, where, f"{name}.")
    cuda = raw["image"].get("cuda") if isinstance(raw.get("image"), dict) else None
    if isinstance(cuda, (int, float)):
        raise ConfigError(
            f"{where}: image.cuda: {cuda} is a number here, and 12.10 is not 12.1: write '{cuda}'"
        )
    try:
        bundlefile = msgspec.convert(raw, BundleFile)
    except msgspec.ValidationError as error:
        told = wrong_value(str(error), raw, toml=where.startswith(_TABLE))
        raise ConfigError(f"{where}: {told}") from error
    try:
        for text in (*bundlefile.models, *filter(None, [bundlefile.name])):
            tag = Tag.parse(text)
            if text == bundlefile.name and str(tag) != f"{text}:latest":
                raise ConfigError(f"{where}: name {text!r} carries a version; the build allots it")
    except InvalidTagError as error:
        raise ConfigError(f"{where}: {error}") from error
    return bundlefile


def _refuse_unknown(raw: dict[Any, Any], kind: type[msgspec.Struct], where: str, prefix: str) -> None:
    known = kind.__struct_fields__
    for key in raw:
        if key not in known:
            raise ConfigError(
                f"{where}: unknown key {prefix}{key}{nearest(str(key), known)} (keys: {', '.join(known)})"
            )
