"""Writes `data/wheels.json`: which CUDA the wheels of PyPI bring or were built for.

    python -m tiffin.bundler.image.make_table

Asks PyPI through `uv pip compile`, the very program that makes a bundle's lock, a few times for each version;
a quarter of an hour in all. Rows that exist are kept as they are: what a released wheel requires does not
change. Nothing of this runs when a bundle is built.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from .cuda_table import WHEELS, WheelRow, numbers, read_wheels

_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
_PYTHONS = ("3.11", "3.12", "3.10", "3.13")
_TIMEOUT_S = 120.0
_RUNTIME = re.compile(r"^(nvidia-cuda-runtime(?:-cu\d+)?)==(\d+\.\d+)", re.MULTILINE)
_TOOLKIT = re.compile(r"^(cuda-toolkit)==", re.MULTILINE)
_CUDNN = re.compile(r"^nvidia-cudnn-cu\d+==(\d+)\.", re.MULTILINE)
_NCCL = re.compile(r"^nvidia-nccl-cu(\d+)==", re.MULTILINE)
_VERSIONS = re.compile(r"^Available versions: (.*)$", re.MULTILINE)


class Subject(NamedTuple):
    """A package whose versions get a row each."""

    package: str
    since: tuple[int, ...]
    """Oldest version that is looked at."""
    extra: str = ""
    """Brings the CUDA libraries where the plain package does not."""
    linked: bool = False
    """CUDA is linked in."""
    gpus_on: tuple[str, ...] = tuple(_ARCHITECTURES)
    """Architectures whose wheels use a GPU, by the project's documentation; requirements do not tell."""


SUBJECTS = (
    Subject("torch", (1, 13)),
    Subject("tensorflow", (2, 12), "and-cuda", gpus_on=("amd64",)),
    Subject("jax-cuda12-plugin", (0, 4, 26), "with-cuda"),
    Subject("jax-cuda13-plugin", (0, 7), "with-cuda"),
    Subject("onnxruntime-gpu", (1, 15), "cuda,cudnn"),
    Subject("xgboost", (1, 7), linked=True, gpus_on=("amd64",)),
    Subject("cupy-cuda12x", (12, 0), "ctk"),
    Subject("cupy-cuda13x", (13, 0), "ctk"),
)


def main() -> None:
    """Adds the rows that are missing."""
    known = {(row.package, row.version): row for row in read_wheels()}
    for subject in SUBJECTS:
        for version in _versions(subject):
            if (subject.package, version) not in known:
                known[subject.package, version] = _row(subject, version)
                _write(known.values())  # a run that is broken off has done something
                sys.stderr.write(f"{known[subject.package, version]}\n")


def _versions(subject: Subject) -> list[str]:
    """Every released version with a wheel for one of our Pythons."""
    found: set[str] = set()
    for python in ("3.10", "3.12"):
        command = [sys.executable, "-m", "pip", "index", "versions", subject.package]
        done = subprocess.run(
            [*command, "--only-binary", ":all:", "--python-version", python, "--no-color"],
            capture_output=True,
            text=True,
            check=False,
        )
        for line in _VERSIONS.findall(done.stdout):
            found.update(text for text in line.split(", ") if re.fullmatch(r"[\d.]+(?:\.?post\d+)?", text))
    return [text for text in sorted(found, key=numbers) if numbers(text) >= subject.since]


def _row(subject: Subject, version: str) -> WheelRow:
    plain = {arch: _resolve(f"{subject.package}=={version}", arch) for arch in _ARCHITECTURES}
    extra = "" if any(_RUNTIME.search(text) for text in plain.values()) else subject.extra
    target = f"{subject.package}[{extra}]=={version}" if extra else f"{subject.package}=={version}"
    full = {arch: _resolve(target, arch) for arch in subject.gpus_on} if extra else plain
    if extra and not any(_RUNTIME.search(text) for text in full.values()):
        extra = ""  # that version does not have the extra yet
    return WheelRow(
        package=subject.package,
        version=version,
        wheels=[arch for arch, text in plain.items() if text],
        amd64=_release(subject, target, full.get("amd64", ""), "amd64"),
        arm64=_release(subject, target, full.get("arm64", ""), "arm64"),
        cudnn=max([int(number) for text in full.values() for number in _CUDNN.findall(text)], default=0),
        linked=subject.linked,
        extra=extra,
    )


def _release(subject: Subject, target: str, resolved: str, arch: str) -> str:
    """The lowest release of the runtime that the package allows: what it was built for."""
    if arch not in subject.gpus_on:
        return ""
    if subject.linked:
        nccl = _NCCL.search(resolved)
        return nccl[1] if nccl else ""
    found = _RUNTIME.search(resolved)
    if not found:
        return ""
    direct = [target, found[1], *_TOOLKIT.findall(resolved)]  # its own requirements, so that they may be low
    lowest = _RUNTIME.search(_resolve("\n".join(direct), arch, "--resolution", "lowest-direct"))
    return lowest[2] if lowest else found[2]


def _resolve(requirements: str, arch: str, *options: str) -> str:
    """The pins; empty when there is no wheel."""
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "-",
        "--only-binary",
        ":all:",
        "--quiet",
        "--no-python-downloads",
    ]
    command += ["--no-header", "--no-annotate", "--python-platform", f"{_ARCHITECTURES[arch]}-manylinux_2_39"]
    for python in _PYTHONS:
        done = subprocess.run(
            [*command, "--python-version", python, *options],
            input=requirements,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout
        if "No solution found" not in done.stderr:
            raise SystemExit(f"{requirements}: {done.stderr}")
    return ""


def _write(rows: Iterable[WheelRow]) -> None:
    ordered = sorted(rows, key=lambda row: (row.package, numbers(row.version)))
    lines = ",\n".join(msgspec.json.encode(row).decode() for row in ordered)
    Path(str(WHEELS)).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
