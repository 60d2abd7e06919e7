"""`uv pip compile`: from requirements to versions and hashes; https://docs.astral.sh/uv/pip/compile/."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .environment import Environment
from .indexes import index_flags
from .info_folders import info_folders, versions_of
from .installed import public_version
from .line import name_of
from .needs import Index, Needs
from .uv import run_uv
from .wheel import Wheel

log = logging.getLogger(__name__)

_IN, _OUT, _PROJECT, _WHEELS = "requirements.in", "requirements.lock", "pyproject.toml", "wheels"


class Resolved(NamedTuple):
    """What uv made."""

    text: str
    """A line each with its hashes."""
    words: str = ""
    """What it said of why there is none; empty: there is one."""


def write_inputs(folder: Path, requirements: str, needs: Needs, wheels: Sequence[Wheel] = ()) -> None:
    """What uv reads.

    Args:
        folder: empty.
        requirements: a line each.
        needs: which package must come from which index.
        wheels: of the packages that no index has.
    """
    (folder / _WHEELS).mkdir()
    for wheel in wheels:
        (folder / _WHEELS / wheel.name).write_bytes(wheel.data)
    routed = [line for line in requirements.splitlines() if name_of(line) in needs.routed]
    rest = [line for line in requirements.splitlines() if line not in routed]
    (folder / _IN).write_text("".join(f"{line}\n" for line in rest), encoding="utf-8")
    (folder / _OUT).write_text(_installed(), encoding="utf-8")  # uv keeps the versions that it finds here
    if routed:
        (folder / _PROJECT).write_text(_project(routed, needs), encoding="utf-8")


def _project(routed: Sequence[str], needs: Needs) -> str:
    """Which index a package is from can only be said in a pyproject.toml."""
    lines = ["[project]", 'name = "bundle"', 'version = "0"']
    lines.append(f"dependencies = {json.dumps(list(routed))}")
    for index in needs.indexes:
        lines += ["[[tool.uv.index]]", f"name = {json.dumps(index.name)}", f"url = {json.dumps(index.url)}"]
        lines += ["default = true"] if index.default else []
        lines += ["explicit = true"] if index.explicit else []
    lines.append("[tool.uv.sources]")
    lines += [
        f"{json.dumps(name)} = {{ index = {json.dumps(index)} }}" for name, index in needs.routed.items()
    ]
    return "".join(f"{line}\n" for line in lines)


def resolve(uv: str, folder: Path, where: Environment, indexes: Sequence[Index], *more: str) -> Resolved:
    """
    Args:
        uv: the program.
        folder: as `write_inputs` left it.
        where: what it is for.
        indexes: that are asked besides those that this machine has anyway.
        more: options of `uv pip compile`.

    Raises:
        subprocess.TimeoutExpired: it took too long.
    """
    inputs = [_IN, *([_PROJECT] if (folder / _PROJECT).exists() else [])]
    command = [uv, "pip", "compile", *inputs, "--output-file", _OUT, "--generate-hashes", *more]
    command += [*index_flags(indexes), "--no-header", "--no-annotate", "--quiet", "--no-python-downloads"]
    command += ["--python-version", where.python, "--python-platform", f"{where.machine}-manylinux_2_28"]
    # Offline is common here and a lock is not vital: do not spend ten seconds on finding out.
    environment = {"UV_HTTP_RETRIES": "1", "UV_HTTP_TIMEOUT": "15", **os.environ, "NO_COLOR": "1"}
    done = run_uv(command, cwd=folder, environment=environment)
    if done.returncode != 0:
        log.debug("uv failed: %s", done.stderr)
        return Resolved("", done.stderr or "uv failed and did not say why")
    return Resolved((folder / _OUT).read_text(encoding="utf-8"))


def _installed() -> str:
    """What is installed here, as pins; without the local part (`+cpu`), which indexes do not have."""
    found = versions_of(info_folders())
    return "".join(f"{name}=={public_version(version)}\n" for name, version in sorted(found.items()))
