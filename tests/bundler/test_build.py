from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from projects import SERVICE, adder_project, echo_project, write

import tiffin
from tiffin.bundler import build as build_module
from tiffin.bundler import bundles
from tiffin.bundler.image.plan import image_plan
from tiffin.bundler.python import dependencies as dependencies_module
from tiffin.bundler.python.environment import Environment
from tiffin.bundler.python.lock import Lock
from tiffin.bundler.python.wheel import runtime_wheel
from tiffin.errors import (
    AlreadyExistsError,
    BuildError,
    ConfigError,
    InvalidTagError,
    NotFoundError,
    SecretFoundError,
    ServiceDefinitionError,
    UsageError,
)
from tiffin.runtime.manifest import BUNDLE_FILE, BundleInfo, FileEntry, ModelInfo, dump_yaml, load_yaml
from tiffin.runtime.model.model import model_digest
from tiffin.runtime.tag import Tag

RUNNER = "gone = tiffin.runner('gone:latest')\n\n    @tiffin.api"
LAST_WORDS = "import os\nprint('last words', flush=True)\nos._exit(3)\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def build(target: str | Path | type, **options: object) -> bundles.Bundle:
    return tiffin.build(target, **{"lock": False, **options})  # type: ignore[arg-type]


def left_behind(home: Path) -> list[Path]:
    """Everything in the store that is no model."""
    return [path for path in (home / "bundles").rglob("*") if path.is_file() and path.name != ".lock"]


def test_what_a_bundle_holds(tmp_path: Path, home: Path) -> None:
    folder = adder_project(tmp_path / "project")
    wishes = "name: sums\ndescription: Two more.\nlabels: {team: maths}\nexclude: [notes*]\n"
    write(folder, {"bundlefile.yaml": wishes, "notes.txt": "x", "pkg/__init__.py": ""})
    (folder / "service.py").chmod(0o755)
    steps: list[str] = []
    made = build(folder, labels={"tier": "gold"}, on_progress=lambda step, done, total: steps.append(step))
    model = tiffin.models.get("adder")
    assert made.tag == Tag("sums", made.info.version)
    assert made.path == home / "bundles" / "sums" / made.info.version
    assert load_yaml(made.path / BUNDLE_FILE, BundleInfo) == made.info
    in_models = f"models/adder/{model.tag.version}"
    assert [file.path for file in made.info.files] == [
        "README.md",
        "apis/openapi.json",
        "apis/service.proto",
        "env/docker/Dockerfile",
        "env/docker/Dockerfile.dockerignore",
        "env/python/requirements.in",
        f"env/python/wheels/{runtime_wheel().name}",
        *sorted(
            [
                *(f"{in_models}/{file.path}" for file in [*model.info.files, *model.info.examples]),
                f"{in_models}/model.yaml",
            ]
        ),
        "sbom.cdx.json",
        "src/bundlefile.yaml",
        "src/pkg/__init__.py",
        "src/service.py",
    ]
    assert {file.mode for file in made.info.files if file.path == "src/service.py"} == {"755"}
    assert bundles.verify(made.tag) == []
    info = made.info
    assert (info.models, info.pickled) == ([str(model.tag)], [str(model.tag)])
    assert (info.labels, info.description) == ({"team": "maths", "tier": "gold"}, "Two more.")
    assert info.options == {
        "locked": False,
        "requirements_from": "imports",
        "unlocked_because": "not asked for",
    }
    assert info.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (
        info.size_bytes
        == sum(path.stat().st_size for path in made.path.rglob("*") if path.is_file())
        - (made.path / BUNDLE_FILE).stat().st_size
    )
    assert [runner.model for runner in info.service.runners] == [str(model.tag)]
    assert "/add" in msgspec.json.decode((made.path / "apis/openapi.json").read_bytes())["paths"]
    assert "rpc Add(AddRequest) returns (AddReply);" in (made.path / "apis/service.proto").read_text()
    readme = (made.path / "README.md").read_text()
    assert "Two more." in readme
    assert "### `POST /add`" in readme
    assert f"| adder:{model.tag.version} | cloudpickle |" in readme
    assert steps[0] == "look for files"
    assert steps[-1] == "write to the store"
    assert all(path.stat().st_mode & 0o222 == 0 for path in made.path.rglob("*") if path.is_file())


def test_equal_inputs_have_equal_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = build(echo_project(tmp_path / "one", **{"data/x.bin": b"\0\1"}))
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(build_module, "noted", lambda *_, **__: {"host": "another"})
    other = echo_project(tmp_path / "a" / "b", **{"data/x.bin": b"\0\1"})
    os.utime(other / "service.py", (1, 1))
    two = build(other, name="other", version="v1", labels={"a": "b"})
    assert one.info.digest == two.info.digest
    assert two.tag == Tag("other", "v1")
    assert two.info.provenance == {"host": "another"}
    (other / "data/x.bin").write_bytes(b"\0\2")
    three = build(other, name="other")
    assert three.info.digest != one.info.digest
    assert three.info.size_bytes == one.info.size_bytes


def test_a_model_is_neither_copied_nor_read(tmp_path: Path, home: Path) -> None:
    folder = echo_project(tmp_path / "project", **{"bundlefile.yaml": "models: [big]\n"})
    size = 1 << 30
    model = home / "models" / "big" / "v1"
    model.mkdir(parents=True)
    with (model / "weights.bin").open("wb") as file:
        file.truncate(size)  # a hole: it takes no room
    entry = FileEntry(path="weights.bin", size_bytes=size, sha256="ab" * 32)  # wrong, and nobody is to notice
    info = ModelInfo(
        name="big", version="v1", framework="x", created="", files=[entry], digest="", size_bytes=size
    )
    info.digest = model_digest(info)
    (model / "model.yaml").write_text(dump_yaml(info))
    before = _bytes_read()
    made = build(folder)
    if before is not None:
        assert _bytes_read() - before < 64 << 20  # type: ignore[operator]
    linked = made.path / "models/big/v1/weights.bin"
    assert linked.stat().st_ino == (model / "weights.bin").stat().st_ino
    assert made.info.models == ["big:v1"]
    assert made.info.size_bytes > size
    (model / "weights.bin").unlink()
    assert linked.stat().st_size == size


def _bytes_read() -> int | None:
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))


def test_a_damaged_model_is_refused(tmp_path: Path, home: Path) -> None:
    folder = adder_project(tmp_path / "project")
    model = tiffin.models.get("adder")
    file = model.path / model.info.files[0].path
    file.chmod(0o644)
    file.write_bytes(b"x")
    with pytest.raises(tiffin.errors.IntegrityError, match="save or import the model again"):
        build(folder)
    assert left_behind(home) == []


@pytest.mark.parametrize(
    ("files", "error", "match"),
    [
        ({".env": "A=1"}, SecretFoundError, r"\.env"),
        ({"service.py": "import nowhere_at_all\n" + SERVICE}, ServiceDefinitionError, "nowhere_at_all"),
        ({"service.py": SERVICE + "1 / 0\n"}, ServiceDefinitionError, r"^service\.py:\d+.*ZeroDivision"),
        ({"service.py": SERVICE.replace("    @tiffin.api\n", "")}, ServiceDefinitionError, "no api"),
        ({"bundlefile.yaml": "servce: a:B\n"}, ConfigError, "service"),
        ({"bundlefile.yaml": "labels: {'k=v z': w}\n"}, ConfigError, "label 'k=v z'"),
        ({"bundlefile.yaml": "models: [nothing]\n"}, NotFoundError, "models: of the bundlefile"),
        ({"service.py": SERVICE.replace("@tiffin.api", RUNNER)}, NotFoundError, "gone"),
        ({"bundlefile.yaml": "python: {packages: ['-e .']}\n"}, BuildError, "is no package"),
        ({"service.py": LAST_WORDS + SERVICE}, BuildError, "(?s)exit code 3.*last words"),
        ({"service.py": SERVICE + "\ntiffin.build(Echo)\n"}, ServiceDefinitionError, "__main__"),
        ({"service.py": "x = 1\n"}, ServiceDefinitionError, "no class with @tiffin.service"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_leaves_nothing(
    tmp_path: Path, home: Path, files: dict[str, str | bytes], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        build(write(tmp_path / "project", {"service.py": SERVICE, **files}))
    assert left_behind(home) == []


@pytest.mark.parametrize(
    ("rest", "missing"),
    [
        ("from helper import x\n", "helper.py"),
        ("import pkg.deep\n", "pkg/deep.py"),
        (
            "import pathlib\n(pathlib.Path(__file__).parent / 'data/table.csv').read_text()\n",
            "data/table.csv",
        ),
    ],
)
def test_a_file_that_was_left_out_is_found_out(tmp_path: Path, rest: str, missing: str) -> None:
    files = {"helper.py": "x = 1\n", "data/table.csv": "1", "pkg/__init__.py": "", "pkg/deep.py": ""}
    folder = write(tmp_path / "project", {"service.py": SERVICE + rest, **files})
    build(folder)
    with pytest.raises(ServiceDefinitionError, match=f"{missing} is in the project, but include, exclude"):
        build(write(folder, {"bundlefile.yaml": f"exclude: [{missing}]\n"}))


def test_an_editable_install_does_not_hide_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = echo_project(tmp_path / "project", **{"helper.py": "x = 1\n"})
    write(folder, {"service.py": f"import sys\nsys.path.append({str(folder)!r})\nimport helper\n" + SERVICE})
    build(folder)
    write(folder, {"bundlefile.yaml": "exclude: [helper.py]\n"})
    with pytest.raises(BuildError, match=r"imports 'helper' from .*helper\.py, which is not in the bundle"):
        build(folder)
    write(folder, {"service.py": "import helper\n" + SERVICE})
    monkeypatch.setenv("PYTHONPATH", str(folder))
    with pytest.raises(ServiceDefinitionError, match=r"helper\.py is in the project, but"):
        build(folder)


def test_the_process_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle is served without the folder, the arguments and the bundle of the one who built it."""
    folder = tmp_path / "project"
    checks = (
        "import os, sys\nassert os.getcwd() not in sys.path and '' not in sys.path\n"
        f"assert not os.getcwd().startswith({str(folder)!r})\nassert 'TIFFIN_BUNDLE' not in os.environ\n"
        "assert sys.stdin.read() == ''\nprint('noise')\n"
    )
    write(folder, {"service.py": checks + SERVICE})
    monkeypatch.setenv("TIFFIN_BUNDLE", str(tmp_path))
    made = build(folder)
    assert list(made.path.rglob("__pycache__")) == []


def test_a_file_opened_where_the_builder_happens_to_be(tmp_path: Path) -> None:
    """A server runs in another folder, so this would fail there."""
    folder = echo_project(tmp_path / "project", **{"words.txt": "x"})
    write(folder, {"service.py": "open('words.txt').read()\n" + SERVICE})
    with pytest.raises(ServiceDefinitionError, match=r"open it beside the code, Path\(__file__\)"):
        build(folder)


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("p.with_name('import.log').write_text('x')\n", r"import\.log"),
        ("p.write_text(p.read_text() + '#')\n", r"service\.py"),
        ("p.with_name('words.txt').unlink()\n", r"words\.txt"),
    ],
)
def test_code_that_writes_beside_itself_is_refused(tmp_path: Path, home: Path, code: str, named: str) -> None:
    folder = write(tmp_path / "project", {"words.txt": "x"})
    write(folder, {"service.py": "import pathlib\np = pathlib.Path(__file__)\n" + code + SERVICE})
    with pytest.raises(BuildError, match=f"writes {named} beside its code"):
        build(folder)
    assert left_behind(home) == []


def test_what_is_written_where_the_service_runs_stays_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "project", {"service.py": "open('run.log', 'w').write('x')\n" + SERVICE})
    made = build(folder)
    assert bundles.verify(made.tag) == []
    assert [path.name for path in (made.path / "src").iterdir()] == ["service.py"]


def test_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "project", {"app.py": SERVICE, "pkg/__init__.py": "", "pkg/inner.py": SERVICE})
    monkeypatch.chdir(folder)
    targets = {"app:Echo": "app:Echo", "pkg.inner:Echo": "pkg.inner:Echo", folder / "app.py": "app:Echo"}
    for target, cls in targets.items():
        made = build(target)
        assert made.info.service.cls == cls
        assert {file.path for file in made.info.files} >= {"src/app.py", "src/pkg/inner.py"}
    for bundle in (str(made.tag), made.path):
        with pytest.raises(BuildError, match="is a bundle already"):
            build(bundle)


def test_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "project", {"built_pkg/__init__.py": "", "built_pkg/inner.py": SERVICE, "x.py": ""})
    monkeypatch.syspath_prepend(tmp_path / "project")
    from built_pkg.inner import Echo  # type: ignore[import-not-found]

    made = build(Echo)
    assert made.info.service.cls == "built_pkg.inner:Echo"
    assert {file.path for file in made.info.files} >= {"src/built_pkg/inner.py", "src/x.py"}
    with pytest.raises(ServiceDefinitionError, match="not a service"):
        build(int)


def test_a_class_of_a_script(tmp_path: Path) -> None:
    tail = "\nif __name__ == '__main__':\n    print(tiffin.build(Echo, lock=False).info.service.cls)\n"
    folder = echo_project(tmp_path / "project")
    write(folder, {"service.py": SERVICE + tail})
    done = subprocess.run(
        [sys.executable, "service.py"], cwd=folder, capture_output=True, text=True, check=True, timeout=240
    )
    assert done.stdout == "service:Echo\n"


@pytest.mark.parametrize("place", ["home", "root", "packages"])
def test_folders_that_cannot_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    folder = tmp_path / ("site-packages" if place == "packages" else "x")
    echo_project(folder)
    if place == "home":
        monkeypatch.setenv("HOME", str(folder))
    with pytest.raises((BuildError, ConfigError), match=r"all of|is installed in|nothing to build"):
        build("/" if place == "root" else folder)


def test_names_and_versions(tmp_path: Path) -> None:
    folder = echo_project(tmp_path / "project")
    assert build(folder, name="a", version="v1").tag == Tag("a", "v1")
    with pytest.raises(AlreadyExistsError, match=r"a:v1 exists"):
        build(folder, name="a", version="v1")
    first, second = build(folder), build(folder)
    assert first.tag < second.tag
    assert bundles.get("echo").tag == second.tag
    for name, version in (("UPPER", None), ("a/b", None), ("a", "x y"), ("a", "latest")):
        with pytest.raises(InvalidTagError):
            build(folder, name=name, version=version)


@pytest.mark.parametrize(("lock", "required"), [(None, False), (True, True)])
def test_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: bool | None, required: bool) -> None:
    asked: list[tuple[str, bool]] = []

    def fake(requirements: object, where: Environment, *, required: bool, **more: object) -> Lock:
        asked.append((where.python, required))
        return Lock("click==8 --hash=sha256:00\n") if required else Lock("", "no uv here")

    monkeypatch.setattr(dependencies_module, "make_lock", fake)
    made = build(echo_project(tmp_path / "project"), lock=lock)
    assert asked == [(made.info.python, required)]
    assert (made.path / "env/python/requirements.lock").exists() == required
    source = {"requirements_from": "imports"}
    assert made.info.options == (
        {"locked": True, **source}
        if required
        else {"locked": False, **source, "unlocked_because": "no uv here"}
    )


@pytest.mark.parametrize(
    ("key", "lock", "required"),
    [("true", None, True), ("true", False, None), ("false", None, None), ("false", True, True)],
)
def test_the_bundlefile_says_whether_there_is_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, lock: bool | None, required: bool | None
) -> None:
    asked: list[bool] = []

    def fake(requirements: object, where: Environment, *, required: bool, **more: object) -> Lock:
        asked.append(required)
        return Lock("click==8 --hash=sha256:00\n")

    monkeypatch.setattr(dependencies_module, "make_lock", fake)
    project = echo_project(tmp_path / "project", **{"bundlefile.yaml": f"python: {{lock: {key}}}\n"})
    made = build(project, lock=lock)
    assert asked == ([] if required is None else [required])
    assert made.info.options["locked"] == (required is not None)


def test_a_lock_for_each_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(
        requirements: object, where: Environment, *, platform: str = "", required: bool, **more: object
    ) -> Lock:
        assert required
        return Lock(f"click=={8 if platform else 7} --hash=sha256:{'ab' * 32}\n")

    monkeypatch.setattr(dependencies_module, "make_lock", fake)
    monkeypatch.setattr(dependencies_module, "this_platform", lambda: "linux/amd64")
    monkeypatch.setattr(build_module.platform, "machine", lambda: "x86_64")
    project = echo_project(tmp_path / "project")
    made = build(project, lock=None, platforms=["linux/amd64", "linux/arm64"])
    locks = {path.name: path.read_text()[:8] for path in (made.path / "env/python").glob("*.lock")}
    assert locks == {"requirements.lock": "click==7", "requirements.linux-arm64.lock": "click==8"}
    for platform, name in (
        ("", "requirements.lock"),
        ("linux/amd64", "requirements.lock"),
        ("linux/arm64", "requirements.linux-arm64.lock"),
        ("linux/arm64/v8", "requirements.linux-arm64.lock"),
    ):
        plan = image_plan(made, platform=platform)
        assert (plan.requirements, plan.warnings) == (f"env/python/{name}", [])
    with pytest.raises(UsageError, match=r"leave out --no-lock \(lock=False\)"):
        build(project, lock=False, platforms=["linux/arm64"])
    with pytest.raises(ConfigError, match="'linux/s390x': use linux/amd64 or linux/arm64"):
        build(project, lock=None, platforms=["linux/s390x"])
    (project / "bundlefile.yaml").write_text("platforms: [linux/amd64, linux/arm64]\n")
    both = build(project, lock=None)
    assert {path.name for path in (both.path / "env/python").glob("*.lock")} == set(locks)
    asked = build(project, lock=None, platforms=["linux/amd64"])
    assert [path.name for path in (asked.path / "env/python").glob("*.lock")] == ["requirements.lock"]
    assert not list((build(project, lock=False).path / "env/python").glob("*.lock"))
    (project / "bundlefile.yaml").write_text("platforms: [linux/arm]\n")
    with pytest.raises(ConfigError, match="platforms of the bundlefile: platform 'linux/arm': use"):
        build(project, lock=None)
    (project / "bundlefile.yaml").write_text("platforms: [linux/arm64]\nimage: {accelerator: rocm}\n")
    with pytest.raises(ConfigError, match="there is no base for rocm for linux/arm64"):
        build(project, lock=None)


def test_a_store_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIFFIN_HOME", "nearby")
    assert build(adder_project(tmp_path / "project")).path.is_relative_to(tmp_path / "nearby")


def test_git_is_noted(tmp_path: Path) -> None:
    folder = echo_project(tmp_path / "project")
    assert "git" not in build(folder).info.provenance
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    )
    clean = build(folder)
    assert clean.info.provenance["git"] == {"commit": head.stdout.strip(), "dirty": False}
    write(folder, {"new.txt": "x"})
    assert build(folder).info.provenance["git"]["dirty"] is True
    assert not any(file.path.startswith("src/.git") for file in clean.info.files)


def test_a_file_that_changes_is_a_build_error(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = echo_project(tmp_path / "project", **{"gone.txt": "x"})
    listing = build_module.list_sources

    def vanish(*args: object, **options: object) -> object:
        found = listing(*args, **options)  # type: ignore[arg-type]
        (folder / "gone.txt").unlink()
        return found

    monkeypatch.setattr(build_module, "list_sources", vanish)
    monkeypatch.setattr(build_module, "refuse_secrets", lambda *_, **__: None)
    with pytest.raises(BuildError, match=r"cannot read gone\.txt: No such file"):
        build(folder)
    assert left_behind(home) == []


def test_an_allowed_secret_goes_in(tmp_path: Path) -> None:
    files = {".env": "A=1", "bundlefile.yaml": "allow_secrets: [.env]\n"}
    made = build(echo_project(tmp_path / "project", **files))
    assert "src/.env" in {file.path for file in made.info.files}


def test_a_build_that_is_killed_leaves_the_store_as_it_was(tmp_path: Path, home: Path) -> None:
    folder = adder_project(tmp_path / "project")
    first = build(folder)
    for tenth in range(2, 9, 2):
        child = subprocess.Popen([sys.executable, "-m", "tiffin", "build", str(folder), "--no-lock"])
        try:
            child.wait(tenth / 10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for bundle in bundles.list():
        assert bundles.verify(bundle.tag) == []
        assert bundle.info.digest == first.info.digest
    build(folder)
    assert list((home / "bundles/.tmp").iterdir()) == []
