"""The file trees of stand-ins for arm64: unpacked packages of Debian, nothing of them run.

Configuring packages under QEMU takes minutes; what images are built on needs files only.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from stand_in_roots import (
    CACHE,
    LIBRARIES,
    LITTER,
    MIRROR,
    SUITE,
    VERSION,
    CannotStandInError,
    cached,
    pack,
    put_uv,
    run,
    settle,
)

DEBIANS_PYTHON = "3.11"
"""Of the suite; there is no interpreter for another machine to copy from this one."""
HANDLERS = Path("/proc/sys/fs/binfmt_misc")
PACKAGES = ["netbase", "tzdata", f"python{DEBIANS_PYTHON}", *LIBRARIES]


def emulated() -> str:
    """Why programs for arm64 cannot be run here; empty: they can, in containers too."""
    for handler in HANDLERS.glob("*aarch64*"):
        text = handler.read_text()
        if "enabled" in text and any("F" in line for line in text.splitlines() if line.startswith("flags:")):
            return ""
    return (
        f"{HANDLERS} has no handler for aarch64 with flag F, which containers need: apt-get install "
        "qemu-user-static binfmt-support"
    )


def arm64_python_root(image: str) -> Path:
    if VERSION != DEBIANS_PYTHON:
        raise CannotStandInError(f"Debian's Python for arm64 is {DEBIANS_PYTHON}, and this is {VERSION}")
    return cached("python-arm64.tar", _make_python)


def arm64_uv_root(image: str) -> Path:
    version = image.rpartition(":")[2].partition("-")[0]
    return cached(f"uv-{version}-arm64.tar", lambda path: _make_uv(path, version))


def _make_python(path: Path) -> None:
    if shutil.which("debootstrap") is None:
        raise CannotStandInError("debootstrap is needed: apt-get install debootstrap")
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        root = Path(scratch) / "root"
        options = ["--arch=arm64", "--foreign", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
        run(["debootstrap", *options, SUITE, str(root), MIRROR])
        archives = root / "var/cache/apt/archives"
        for package in sorted(archives.glob("*.deb")):
            # As a tar, which follows the links of a merged /usr, where `dpkg-deb -x` would replace them.
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as files:
                subprocess.run(
                    ["tar", "--keep-directory-symlink", "-C", root, "-x"], stdin=files.stdout, check=True
                )
        for name in ("passwd", "group"):
            shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
        for litter in ("var/cache/apt/archives", "debootstrap", *LITTER):
            shutil.rmtree(root / litter, ignore_errors=True)
        (root / "proc").unlink()  # a link to this machine's
        (root / "proc").mkdir()
        _as_the_official_image(root)
        pack(root, path)


def _as_the_official_image(root: Path) -> None:
    """The interpreter in /usr/local, and what belongs to this machine."""
    library = f"lib/python{DEBIANS_PYTHON}"
    for folder in ("lib", "bin"):
        (root / "usr/local" / folder).mkdir(parents=True, exist_ok=True)
    shutil.move(root / "usr" / library, root / "usr/local" / library)
    shutil.move(root / f"usr/bin/python{DEBIANS_PYTHON}", root / f"usr/local/bin/python{DEBIANS_PYTHON}")
    for name in ("python3", "python"):
        (root / "usr/local/bin" / name).symlink_to(f"python{DEBIANS_PYTHON}")
    settle(root)


def _make_uv(path: Path, version: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        put_uv(root, version, "--platform=manylinux_2_17_aarch64")
        pack(root, path)
