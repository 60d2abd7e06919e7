"""The TypeScript compiler of the environment (`make install` brings it where npm is) and Node."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_STRICT = (
    "--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--noImplicitOverride",
    "--noUnusedLocals", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler",
    "--lib", "es2022,dom,dom.iterable,dom.asynciterable",
)  # fmt: skip


def compiler() -> str:
    """Path of tsc; the test is skipped where there is none."""
    own = Path(sys.prefix) / "node" / "node_modules" / ".bin" / "tsc"
    found = str(own) if own.exists() else shutil.which("tsc")
    if found is None or shutil.which("node") is None:
        pytest.skip("there is no tsc or no node: make install brings tsc where npm is")
    return found


def compile_strictly(*files: Path, out: Path | None = None) -> list[str]:
    """Lines that tsc complains in; JavaScript (`.js`) goes to `out`, if given."""
    where = ["--outDir", str(out)] if out is not None else ["--noEmit"]
    command = [compiler(), *_STRICT, *where, *(str(file) for file in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=files[0].parent)
    return [line for line in done.stdout.splitlines() if "error TS" in line]


def run(script: Path, *args: str) -> str:
    """Standard output of a script; fails with what it wrote to standard error."""
    done = subprocess.run(
        ["node", str(script), *args], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
