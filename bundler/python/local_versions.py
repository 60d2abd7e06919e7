"""Builds with a label of their own, `torch 2.13.0+cpu`: the index that such a build came from is looked for.

PyPI has no such versions: its `torch 2.13.0` is another build, with gigabytes of CUDA. No installer notes
which index a package came from, so the indexes that this machine knows are asked who has just that version:
https://packaging.python.org/en/latest/specifications/version-specifiers/#local-version-identifiers.
"""

from __future__ import annotations

import configparser
import hashlib
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ...errors import ConfigError
from ...runtime.home import home
from ...runtime.manifest import ModelInfo
from .environment import Environment
from .indexes import index_of, machine_indexes, without_password
from .info_folders import closure, info_folders, versions_of
from .installed import public_version
from .line import has_password, name_of
from .needs import Index, Needs, Wanted, canonical
from .resolve import resolve, write_inputs
from .uv import find_uv, unreached

_TORCH = {"torch", "torchaudio", "torchvision"}
_TORCH_LABEL = re.compile(r"cpu|cu\d+|rocm[\d.]+|xpu")
_TORCH_INDEX = "https://download.pytorch.org/whl/"
_HAS, _HAS_NOT, _SILENT = "has", "has not", "did not answer"
_KNOWN_S = {_HAS: math.inf, _HAS_NOT: 86_400.0, _SILENT: 300.0}
"""Seconds that an answer counts: who could not be reached may be there soon."""


def add_local_versions(
    needs: Needs, models: Sequence[ModelInfo], where: Environment, *, inferred: bool, gpus: bool = False
) -> None:
    """Asks for those builds, from the index that has them, wherever the project asks for no other.

    Args:
        needs: of the project; gets requirements, indexes and notes.
        models: their packages count in the version that they were saved with.
        where: an index counts when it has the build for that.
        inferred: whether the requirements are those of imports: what these packages need counts then.
        gpus: whether runners ask for them, so that builds for the CPU are of no use.
    """
    here = versions_of(info_folders())
    saved = {canonical(name): version for model in models for name, version in model.versions.items()}
    if not any("+" in version for version in (*here.values(), *saved.values())):
        return
    chosen = {name for each in needs.wanted if inferred and (name := _as_installed(each.text, here))}
    asked = {name_of(each.text) for each in needs.wanted} - chosen
    versions = {**closure(sorted(chosen | saved.keys()), here), **saved}
    for name, version in sorted(versions.items()):
        if "+" not in version or name in asked or name in needs.routed:
            continue
        if gpus and version.endswith("+cpu"):
            needs.notes.append(
                f"{name} is {version} here, and runners ask for GPUs: the bundle gets "
                f"{public_version(version)}"
            )
            continue
        index = origin(name, version, where, needs.indexes)
        if index is None:
            needs.notes.append(
                f"{name} is {version} here, which no index has that this machine knows and reaches: the "
                f"bundle gets another build, {public_version(version)}; name the index in bundlefile.yaml: "
                "python: {indexes: […]}"
            )
            continue
        needs.wanted = [each for each in needs.wanted if name_of(each.text) != name]
        needs.wanted.append(Wanted(f"{name}=={version}", f"what is installed here, from {index.url}"))
        needs.routed[name] = index.name
        if all(each.name != index.name for each in needs.indexes):
            needs.indexes.append(index)
        needs.notes.append(f"{name} {version} comes from {index.url}, as it is here")


def origin(name: str, version: str, where: Environment, indexes: Sequence[Index]) -> Index | None:
    """The first index that has it for that environment; answers are kept in `<home>/cache/origins`.

    Args:
        name: canonical.
        version: `2.13.0+cpu`
        where: a file must be for it.
        indexes: asked before those of the machine.
    """
    uv = find_uv()
    if uv is None:
        return None
    for index in _candidates(name, version, indexes):
        text = " ".join((name, version, where.python, where.machine, index.url))
        kept = home() / "cache" / "origins" / hashlib.sha256(text.encode()).hexdigest()
        answer = _known(kept)
        if not answer:
            answer = _asked(uv, index, f"{name}=={version}", where)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(answer, encoding="utf-8")
        if answer == _HAS:
            return index
    return None


def _as_installed(line: str, here: dict[str, str]) -> str:
    """The package of a requirement that inference wrote for what is installed; empty: it is another."""
    name = name_of(line)
    return name if line == f"{name}=={public_version(here.get(name, ''))}" else ""


def _candidates(name: str, version: str, indexes: Sequence[Index]) -> Iterator[Index]:
    seen: set[str] = set()
    names = {index.name for index in indexes}
    label = version.partition("+")[2]
    known = [Index(f"pytorch-{label}", f"{_TORCH_INDEX}{label}", explicit=True)]
    torch = known if name in _TORCH and _TORCH_LABEL.fullmatch(label) else []
    machine = [Index(each.name, each.url, explicit=True) for each in machine_indexes().values()]
    more = [index for index in (*machine, *_unnamed(), *torch) if index.name not in names]
    for index in (*indexes, *more):
        if index.url.rstrip("/") not in seen and not has_password(index.url):
            seen.add(index.url.rstrip("/"))
            yield index


def _unnamed() -> Iterator[Index]:
    """Of uv's and pip's variables and files; they get the name of their host."""
    texts = [os.environ.get(name, "") for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL")]
    for path in (os.environ.get("PIP_CONFIG_FILE", ""), *_pip_files()):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path)
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue  # pip itself will complain
        texts += [parser.get(section, "extra-index-url", fallback="") for section in ("global", "install")]
    for text in texts:
        for url in text.split():
            if "=" in url.partition("://")[0]:  # it has a name, and is among those of the machine
                continue
            clean = without_password(url)
            host = re.sub(r"[^A-Za-z0-9]+", "-", urlsplit(clean).netloc + urlsplit(clean).path).strip("-")
            try:
                yield index_of(host, clean, explicit=True)
            except ConfigError:  # `file:`, which no other machine has
                continue


def _pip_files() -> list[str]:
    folder = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    places = ["/etc/pip.conf", f"{folder}/pip/pip.conf", str(Path.home() / ".pip/pip.conf")]
    return [*places, f"{sys.prefix}/pip.conf"]


def _known(kept: Path) -> str:
    """What was found out; empty: nothing, or too long ago."""
    try:
        answer, age_s = kept.read_text(encoding="utf-8"), time.time() - kept.stat().st_mtime
    except OSError:
        return ""
    return answer if age_s < _KNOWN_S.get(answer, 0) else ""


def _asked(uv: str, index: Index, requirement: str, where: Environment) -> str:
    with tempfile.TemporaryDirectory(prefix="tiffin-origin-") as name:
        needs = Needs(indexes=[index], routed={name_of(requirement): index.name})
        write_inputs(Path(name), requirement, needs)
        try:
            words = resolve(uv, Path(name), where, [index], "--no-deps").words
        except subprocess.TimeoutExpired:
            return _SILENT
    return _SILENT if unreached(words) else _HAS_NOT if words else _HAS
