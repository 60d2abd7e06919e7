"""From a project to `env/python/`, without an index."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from projects import write
from simple_index import wheel

from tiffin.bundler import describe as describe_module
from tiffin.bundler.python import lock as lock_module
from tiffin.bundler.python import requirements as requirements_module
from tiffin.bundler.python.dependencies import Code, Dependencies, dependencies, packed_folders
from tiffin.bundler.python.lockfile import Locked, read_lock, with_hashes, with_names
from tiffin.bundler.python.wheel import Wheel
from tiffin.errors import BuildError, ConfigError, IntegrityError
from tiffin.runtime.manifest import ModelInfo, ServiceSpec
from tiffin.runtime.service.bundlefile import PythonOptions

UV = """#!{python}
import sys
output = sys.argv[sys.argv.index("--output-file") + 1]
lines = [line.strip() for line in open("requirements.in") if line[0] not in "#-\\n"]
out = []
for line in lines:  # as uv writes it: wheels without their name
    name, _, address = line.partition(" @ ")
    out.append((address or line) + " \\\\\\n    --hash=sha256:" + "0" * 64 + "\\n")
open(output, "w").write("".join(out))
"""


@pytest.fixture(autouse=True)
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that pins what it is given."""
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    program = tmp_path / "uv"
    program.write_text(UV.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(lock_module, "find_uv", lambda: str(program))
    monkeypatch.setattr(requirements_module, "requires", lambda _: ["click==8"])


def made(folder: Path, *models: ModelInfo, **options: object) -> Dependencies:
    more = {key: options.pop(key) for key in ("python", "platforms", "generated", "lock") if key in options}
    wishes = PythonOptions(**options)  # type: ignore[arg-type]
    service = ServiceSpec(name="s", cls="service:S")
    code = Code(folder, ["service"])
    return dependencies(folder, wishes, code, models=models, service=service, **more)  # type: ignore[arg-type]


def model(**versions: str) -> ModelInfo:
    return ModelInfo(
        name="m", version="1", framework="x", created="", files=[], digest="", size_bytes=0, versions=versions
    )


def test_a_wheel_of_the_project_is_in_the_bundle_and_in_the_lock(tmp_path: Path) -> None:
    name, data = wheel("my-lib")
    write(tmp_path, {"requirements.txt": f"./{name}\nrich==13\n"})
    (tmp_path / name).write_bytes(data)
    found = made(tmp_path)
    assert found.wheels == [Wheel(name, "1.0", data)]
    assert f"my-lib @ ./wheels/{name}\n" in found.texts["env/python/requirements.in"]
    package = read_lock(found.texts["env/python/requirements.lock"])[-1]
    assert (package.name, package.version, package.url) == ("my-lib", "1.0", f"./wheels/{name}")
    assert packed_folders(tmp_path, PythonOptions()) == [(tmp_path / name).resolve()]


def test_a_lock_for_each_platform_from_its_own_part(tmp_path: Path) -> None:
    text = """version = 1
[[package]]
name = "p"
source = { virtual = "." }
dependencies = [
    { name = "intel", marker = "platform_machine == 'x86_64'" },
    { name = "arm", marker = "platform_machine == 'aarch64'" },
]
[[package]]
name = "intel"
version = "1"
[[package]]
name = "arm"
version = "1"
"""
    found = made(write(tmp_path, {"uv.lock": text}), python="3.12", platforms=["linux/amd64", "linux/arm64"])
    assert found.python == "3.12"
    locks = {
        path: {package.name for package in read_lock(each)}
        for path, each in found.texts.items()
        if "lock" in path
    }
    assert {"click", "arm"} in locks.values()
    assert {"click", "intel"} in locks.values()


def test_a_models_versions_come_before_what_is_installed(tmp_path: Path) -> None:
    write(tmp_path, {"service.py": "import numpy, yaml"})
    found = made(tmp_path, model(numpy="1.26.0"), packages=["pyyaml>=5"], lock=False)
    lines = found.texts["env/python/requirements.in"].splitlines()
    assert lines == [
        "# for tiffin",
        "click==8",
        "# for the models",
        "numpy==1.26.0",
        "# for the project",
        "pyyaml>=5",
    ]
    assert (found.source, found.lock) == ("imports", None)


def test_generated_code_is_told_by_its_imports_unless_a_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"service.py": "import yaml", "requirements.txt": "half-the-world==1"})
    assert made(tmp_path, generated=True, lock=False).source == "imports"
    assert (
        made(tmp_path, generated=True, lock=False, requirements="requirements.txt").source
        == "requirements.txt"
    )
    assert made(tmp_path, lock=False).source == "requirements.txt"


def test_a_folder_that_is_something_else(tmp_path: Path) -> None:
    name, data = wheel("other")
    (tmp_path / name).write_bytes(data)
    write(tmp_path, {"requirements.txt": f"my-lib @ ./{name}"})
    with pytest.raises(BuildError, match=r"line 1: .* is other, and my-lib is asked for"):
        made(tmp_path)


def test_a_password_in_a_lock_stays_out(tmp_path: Path) -> None:
    text = """version = 1
[[package]]
name = "p"
source = { virtual = "." }
dependencies = [{ name = "far" }]
[[package]]
name = "far"
version = "1"
source = { url = "https://me:secret@f/far.whl" }
"""
    with pytest.raises(BuildError, match=r"uv\.lock: far has an address with a password") as caught:
        made(write(tmp_path, {"uv.lock": text}))
    assert "secret" not in str(caught.value)


def test_tiffin_itself_is_not_packed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ["click==8", "skops==1 ; extra == 'sklearn'"]
    monkeypatch.setattr(requirements_module, "requires", lambda _: own)
    write(tmp_path, {"requirements.txt": "tiffin[sklearn] @ ./tiffin\n", "tiffin/setup.py": "no"})
    found = made(tmp_path)
    assert (found.wheels, "tiffin" in found.texts["env/python/requirements.lock"]) == ([], False)


def test_pythons_that_there_are_not(tmp_path: Path) -> None:
    for python in ("3", "3.12.1", "2.7", "py312"):
        with pytest.raises(ConfigError, match=r"use two numbers, such as 3\."):
            made(write(tmp_path, {"service.py": ""}), python=python)
    with pytest.raises(ConfigError, match=r"python version '3\.9': tiffin runs on 3\.10 and newer"):
        made(write(tmp_path, {"service.py": ""}), python="3.9")


def test_what_a_lock_of_another_tool_says_is_kept() -> None:
    first = "a==1 \\\n    --hash=sha256:00\n"
    text = f"{first}b==2 ; os_name == 'posix' \\\n    --hash=sha256:11 \\\n    --hash=sha256:22\n"
    kept = {"b": Locked(name="b", version="2", hashes=("cc",)), "a": Locked(name="a", version="1")}
    changed = "a==1\nb==2 ; os_name == 'posix' \\\n    --hash=sha256:cc\n"
    assert with_hashes(text, kept) == changed
    with pytest.raises(IntegrityError, match="b is 3 in the project's lock and became 2"):
        with_hashes(text, {"b": Locked(name="b", version="3")})


@pytest.mark.parametrize(
    "written",
    ["./wheels/{}", "my-lib @ ./wheels/{}", "my-lib[x] @ file:///tmp/wheels/{}", "./wheels/{}[x]"],
)
def test_wheels_have_their_names(written: str) -> None:
    name, data = wheel("my-lib")
    extra = "[x]" if "[x]" in written else ""
    found = with_names(f"a==1\n{written.format(name)} ; os_name == 'posix'\n", [Wheel(name, "1.0", data)])
    assert found == f"a==1\nmy-lib{extra} @ ./wheels/{name} ; os_name == 'posix'\n"


def test_imports_from_a_packed_folder_are_not_missing(tmp_path: Path) -> None:
    project, snapshot = tmp_path / "p", tmp_path / "s"
    modules = {"service": f"{snapshot}/service.py", "lib": f"{project}/lib/lib.py"}
    describe_module._check_modules(modules, "service:S", project, snapshot, lambda: [project / "lib"])
    with pytest.raises(BuildError, match=r"imports 'lib' from .* include it, or name its package"):
        describe_module._check_modules(modules, "service:S", project, snapshot, lambda: [project / "li"])


def test_poetry_without_its_lock_is_told(tmp_path: Path) -> None:
    text = "[tool.poetry]\nname = 'p'\n\n[tool.poetry.dependencies]\npython = '^3.10'\nnumpy = '^2'\n"
    project = write(tmp_path, {"pyproject.toml": text, "service.py": "import yaml\n"})
    (note,) = made(project, lock=False).notes
    assert note.startswith("pyproject.toml line 6 and below name packages for Poetry")
    assert made(project, lock=False, generated=True).notes == []
    standard = f"[project]\nname = 'p'\ndependencies = ['yaml']\n{text}"
    assert made(write(project, {"pyproject.toml": standard}), lock=False).source == "pyproject.toml"
