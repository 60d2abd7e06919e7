"""Shared objects compiled here, and what the doctor says of what they want."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patients import only, patient

from tiffin.bundler.doctor import elf, system_libraries
from tiffin.bundler.doctor.shared_objects import Objects
from tiffin.bundler.doctor.shared_objects import system_libraries as libraries_of
from tiffin.runtime.service.bundlefile import BundleFile
from tiffin.runtime.service.image_options import ImageOptions

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None, reason="needs Linux and a C compiler"
)


def compiled(path: Path, *options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    code = path.with_suffix(".c")
    code.write_text("int f(void) { return 1; }\n")
    flags = ["-shared", "-fPIC", "-nostdlib", "-Wl,--no-as-needed"]
    subprocess.run(["cc", *flags, "-o", path, code, *options], check=True)
    code.unlink()
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An environment with `vision`, whose extension wants libGL.so.1 and a library of its own."""
    folder = tmp_path / "site-packages"
    gl = compiled(tmp_path / "made" / "libGL.so.1", "-Wl,-soname,libGL.so.1")
    own = compiled(folder / "vision.libs" / "libown-1.so.2", "-Wl,-soname,libown-1.so.2", f"-L{gl.parent}")
    compiled(folder / "vision" / "core.cpython-311-x86_64-linux-gnu.so", str(gl), str(own))
    # Opened by the package itself when it wants it, and does without.
    odd = compiled(tmp_path / "made" / "libodd.so.9", "-Wl,-soname,libodd.so.9")
    compiled(folder / "vision" / "libplugin.so", str(odd))
    info = folder / "vision-1.0.dist-info"
    info.mkdir()
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*.so*") if path.is_file()]
    (info / "RECORD").write_text("".join(f"{name},sha256=x,1\n" for name in names))
    return info


def test_what_a_shared_object_wants(tmp_path: Path) -> None:
    other = compiled(tmp_path / "libb.so.3", "-Wl,-soname,libb.so.3")
    made = compiled(tmp_path / "a.so", str(other))
    assert elf.libraries_of(made) == ("libb.so.3",)
    assert elf.libraries_of(other) == ()
    text = tmp_path / "text.so"
    text.write_text("INPUT(libb.so.3)")
    assert elf.libraries_of(text) == ()
    half = tmp_path / "half.so"
    half.write_bytes(made.read_bytes()[:200])
    assert elf.libraries_of(half) == ()


def test_a_missing_library(site: Path) -> None:
    sick = patient(
        kind="model", on={"packages": {"vision": "1.0", "tiffin": "1"}, "info_folders": {"vision": site}}
    )
    assert list(system_libraries.check(sick)) == []  # vision is not needed by that model
    wanted = Objects({"vision": site}).wanted(["vision"])
    assert set(wanted) == {"libGL.so.1"}  # its own library is in the wheel, and plug-ins do not count
    assert wanted["libGL.so.1"].package == "vision"


def test_the_command_that_mends_it(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on = {"packages": {"vision": "1.0"}, "info_folders": {"vision": site}}
    monkeypatch.setattr(system_libraries, "system_libraries", lambda arch, environ: set())
    only(list(system_libraries.check(patient(on=on))), "warning")
    needed = patient(on=on, kind="model", locked={"vision": "1.0"})
    found = only(list(system_libraries.check(needed)), "error")
    assert found.mend == "sudo apt-get install libgl1"
    assert "vision wants libGL.so.1" in found.what
    monkeypatch.setattr(system_libraries, "system_libraries", lambda arch, environ: {"libGL.so.1"})
    assert list(system_libraries.check(patient(on=on))) == []


def test_the_image_has_not_what_this_machine_has(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on = {"packages": {"vision": "1.0"}, "info_folders": {"vision": site}}
    monkeypatch.setattr(system_libraries, "system_libraries", lambda arch, environ: {"libGL.so.1"})
    needs = {"locked": {"vision": "1.0"}, "kind": "bundle", "on": on}
    assert "[libgl1]" in only(list(system_libraries.check(patient(**needs))), "warning").mend
    listed = BundleFile(image=ImageOptions(system_packages=["libgl1=1.6.0-1"]))
    assert list(system_libraries.check(patient(wishes=listed, **needs))) == []
    own = BundleFile(image=ImageOptions(base="example.com/mine:1"))
    assert list(system_libraries.check(patient(wishes=own, **needs))) == []


def test_libraries_that_are_opened_by_name_and_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_libraries, "system_libraries", lambda arch, environ: set())
    monkeypatch.setenv("PATH", "")
    found = list(system_libraries.check(patient(on={"packages": {"pyzbar": "1", "pytesseract": "1"}})))
    assert [finding.mend for finding in found] == [
        "sudo apt-get install libzbar0",
        "sudo apt-get install tesseract-ocr",
    ]


def test_where_the_loader_looks(tmp_path: Path) -> None:
    for name in ("usr/lib/x86_64-linux-gnu/liba.so.1", "opt/x/libb.so", "usr/lib/readme.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    conf = tmp_path / "etc/ld.so.conf.d/x.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("# theirs\n/opt/x\n")
    assert libraries_of("amd64", {}, tmp_path) == {"liba.so.1", "libb.so"}
    assert libraries_of("arm64", {"LD_LIBRARY_PATH": str(tmp_path / "opt/x")}, tmp_path) == {"libb.so"}
