from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiffin.errors import ConfigError, IntegrityError, ServiceDefinitionError
from tiffin.runtime.manifest import BundleInfo, ServiceSpec, dump_yaml
from tiffin.runtime.service.load import load_service, resolve_target
from tiffin.runtime.service.source import services_in
from tiffin.runtime.supervisor.control import Target

SERVICE = """
import tiffin

@tiffin.service
class Iris:
    @tiffin.api
    def ping(self) -> str:
        return "pong"
"""
SECOND = SERVICE.replace("Iris", "Other")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(autouse=True)
def clean_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """load_service is made for a process of its own; here each test gets its modules and paths back, but
    those of tiffin: a second copy of them would not know the services of the first."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("TIFFIN_BUNDLE", "")
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] != "tiffin":
            del sys.modules[name]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def bundle(folder: Path, name: str = "iris", version: str = "v0000001") -> Path:
    write(folder, "src/service.py", SERVICE)
    info = BundleInfo(
        name=name,
        version=version,
        created="2026-01-01T00:00:00Z",
        digest="sha256:" + "0" * 64,
        service=ServiceSpec(name=name, cls="service:Iris"),
    )
    write(folder, "bundle.yaml", dump_yaml(info))
    return folder


# resolve_target


def test_folder_with_a_bundlefile(project: Path) -> None:
    write(project, "bundlefile.yaml", "service: app.main:Iris")
    write(project, "app/main.py", SERVICE)
    expected = Target(source=str(project), service="app.main:Iris")
    assert resolve_target(".") == resolve_target("") == resolve_target(str(project)) == expected


@pytest.mark.parametrize("service", ["app/main.py:Iris", "app/main.py", "app.main"])
def test_a_bundlefile_may_name_the_file_or_leave_the_class_out(project: Path, service: str) -> None:
    write(project, "bundlefile.yaml", f"service: {service}")
    write(project, "app/main.py", SERVICE)
    assert resolve_target(".").service == "app.main:Iris"


def test_folder_with_pyproject(project: Path) -> None:
    write(project, "pyproject.toml", "[tool.tiffin]\nservice = 'main:Iris'\n")
    write(project, "main.py", SERVICE)
    assert resolve_target(".").service == "main:Iris"


def test_folder_with_just_a_service_file(project: Path) -> None:
    write(project, "service.py", SERVICE)
    assert resolve_target(".") == Target(source=str(project), service="service:Iris")
    write(project, "bundlefile.yaml", "description: no service named")
    assert resolve_target(".").service == "service:Iris"


def test_folder_without_anything_names_what_is_near(project: Path) -> None:
    write(project, "app.py", SERVICE)
    write(project, "broken.py", "def (")
    with pytest.raises(
        ConfigError, match=r"nothing to serve in .*tried bundle\.yaml.*service\.py; there is app\.py:Iris$"
    ):
        resolve_target(".")


def test_a_bundlefile_that_names_nothing_there(project: Path) -> None:
    write(project, "bundlefile.yaml", "service: servce:Iris")
    write(project, "service.py", SERVICE)
    with pytest.raises(ConfigError, match=r"has no servce; there is service\.py:Iris"):
        resolve_target(".")
    write(project, "bundlefile.yaml", "service: ../service.py:Iris")
    with pytest.raises(ConfigError, match=r"is not module:Class or file\.py:Class"):
        resolve_target(".")


def test_files(project: Path) -> None:
    write(project, "sub/service.py", SERVICE)
    expected = Target(source=str(project / "sub"), service="service:Iris")
    assert resolve_target("sub/service.py") == resolve_target("sub/service.py:Iris") == expected
    assert resolve_target(str(project / "sub" / "service.py")) == expected


def test_a_file_in_a_package_is_imported_as_its_module(project: Path) -> None:
    write(project, "pkg/__init__.py", "")
    write(project, "pkg/inner/__init__.py", "")
    write(project, "pkg/inner/service.py", SERVICE)
    assert resolve_target("pkg/inner/service.py") == Target(
        source=str(project), service="pkg.inner.service:Iris"
    )


def test_several_or_no_services_in_a_file(project: Path) -> None:
    write(project, "service.py", SERVICE + SECOND)
    with pytest.raises(ServiceDefinitionError, match=r"name one: service\.py:Iris, service\.py:Other"):
        resolve_target("service.py")
    assert resolve_target("service.py:Other").service == "service:Other"
    write(project, "service.py", "x = 1")
    with pytest.raises(ServiceDefinitionError, match=r"service\.py: no class with @tiffin\.service"):
        resolve_target(".")
    write(project, "service.py", "x = = 1")
    with pytest.raises(ServiceDefinitionError, match=r"service\.py:1: not Python"):
        resolve_target(".")


def test_missing_and_unfit_files(project: Path) -> None:
    write(project, "service.py", SERVICE)
    with pytest.raises(ConfigError, match=r"no file .*servic\.py; there is service\.py:Iris"):
        resolve_target("servic.py")
    write(project, "model.joblib", "")
    with pytest.raises(ConfigError, match=r"model\.joblib is no Python file"):
        resolve_target("model.joblib")
    write(project, "my-service.py", SERVICE)
    with pytest.raises(ConfigError, match="cannot be imported: 'my-service' is no module name"):
        resolve_target("my-service.py")


def test_module_and_class(project: Path) -> None:
    write(project, "app/main.py", SERVICE)
    assert resolve_target("app.main:Iris") == Target(source=str(project), service="app.main:Iris")
    assert (
        resolve_target("json.decoder:Iris").service == "json.decoder:Iris"
    )  # installed: found when imported


def test_bundle_folder_and_tag(project: Path, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "home" / "bundles" / "iris" / "v0000001")
    bundle(tmp_path / "home" / "bundles" / "iris" / "v0000002", version="v0000002")
    expected = Target(source=str(folder / "src"), service="service:Iris", bundle=str(folder))
    assert resolve_target(str(folder)) == expected
    assert resolve_target("iris:v0000001") == expected
    assert resolve_target("iris").bundle.endswith("v0000002")
    assert resolve_target("iris:latest") == resolve_target("iris")


def test_a_lower_case_class_is_found_when_no_bundle_has_that_tag(project: Path) -> None:
    write(project, "app.py", SERVICE.replace("Iris", "iris"))
    assert resolve_target("app:iris").service == "app:iris"


def test_a_damaged_bundle(project: Path, tmp_path: Path) -> None:
    write(tmp_path, "b/bundle.yaml", "name: x")
    with pytest.raises(IntegrityError):
        resolve_target(str(tmp_path / "b"))


def test_nothing_found_lists_what_was_tried(project: Path, tmp_path: Path) -> None:
    bundle(tmp_path / "home" / "bundles" / "iris" / "v0000001")
    with pytest.raises(
        ConfigError,
        match=r"nothing to serve at 'irs': no such file or folder in .*; no bundle .*did you mean 'iris'",
    ):
        resolve_target("irs")
    with pytest.raises(ConfigError, match=r"nothing to build at 'irs': no such file or folder in [^;]*$"):
        resolve_target("irs", verb="build")  # a bundle is not built again, so those of the store are no help
    write(project, "iris.joblib", "")
    with pytest.raises(ConfigError, match=r"'iris.jolib': no such file .*; did you mean 'iris\.joblib'"):
        resolve_target("iris.jolib", verb="build")
    with pytest.raises(ConfigError, match=r"'/dev/null': /dev/null is neither a file nor a folder"):
        resolve_target("/dev/null", verb="build")
    with pytest.raises(ConfigError, match=r"'models/a\.onnx': there is no folder .*/models$"):
        resolve_target("models/a.onnx")
    write(project, "service.py", SERVICE)
    with pytest.raises(
        ConfigError,
        match=r"no module nope in .* or on sys.path; there is service\.py:Iris.*; bad version 'Iris'",
    ):
        resolve_target("nope:Iris")


def test_resolving_runs_no_user_code_and_imports_nothing_heavy(project: Path) -> None:
    write(project, "service.py", SERVICE + "\nraise SystemExit('ran')\n")
    code = (
        "import sys; from tiffin.runtime.service.load import resolve_target as r; print(r('.').service);"
        "print(sorted({'numpy', 'litestar', 'sklearn', 'torch', 'pandas', 'uvicorn'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split("\n")[:2] == ["service:Iris", "[]"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import tiffin\n@tiffin.service\nclass A: ...", ["A"]),
        ("import tiffin as t\n@t.service(name='x')\nclass A: ...\nclass B: ...", ["A"]),
        ("from tiffin import service as s, api\n@s\nclass A: ...\n@s()\nclass B: ...", ["A", "B"]),
        ("import other\n@other.service\nclass A: ...", []),
        ("import tiffin\ndef f():\n    @tiffin.service\n    class A: ...", []),
    ],
)
def test_services_are_told_from_the_text(tmp_path: Path, text: str, names: list[str]) -> None:
    assert services_in(write(tmp_path, "x.py", text)) == names


# load_service


def test_load(project: Path) -> None:
    write(project, "svc_a.py", SERVICE)
    cls = load_service(resolve_target("svc_a.py"))
    assert cls().ping() == "pong"
    assert sys.path[0] == str(project)


def test_a_bundle_is_imported_from_its_source_and_stays_as_it_is(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b")
    (folder / "src" / "service.py").rename(folder / "src" / "svc_b.py")
    sys.dont_write_bytecode = False
    load_service(Target(source=str(folder / "src"), service="svc_b:Iris", bundle=str(folder)))
    assert os.environ["TIFFIN_BUNDLE"] == str(folder)
    assert sys.path[0] == str(folder / "src")
    assert not list(folder.rglob("__pycache__"))


def test_user_errors_show_the_users_frames_only(project: Path) -> None:
    write(project, "svc_lib.py", "import json\ndef read():\n    return json.loads('{')\n")
    write(project, "svc_c.py", "import svc_lib\n\nvalue = svc_lib.read()\n" + SERVICE)
    with pytest.raises(ServiceDefinitionError) as caught:
        load_service(Target(source=str(project), service="svc_c:Iris"))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("svc_lib.py:3: importing svc_c:Iris failed: JSONDecodeError: ")
    assert [line.strip() for line in lines[1:]] == [
        "svc_c.py:3 in <module>: value = svc_lib.read()",
        "svc_lib.py:3 in read: return json.loads('{')",
    ]


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import sys; sys.exit('x')"])
def test_a_module_that_exits_is_an_error(project: Path, code: str) -> None:
    write(project, "svc_d.py", code)
    with pytest.raises(ServiceDefinitionError, match=r"svc_d\.py:1: importing svc_d:Iris failed: SystemExit"):
        load_service(Target(source=str(project), service="svc_d:Iris"))


def test_syntax_errors_have_their_line(project: Path) -> None:
    write(project, "svc_e.py", "x = 1\ny = = 2\n")
    with pytest.raises(ServiceDefinitionError, match=r"^svc_e\.py:2: SyntaxError: "):
        load_service(Target(source=str(project), service="svc_e:Iris"))


def test_misuse_keeps_its_own_message(project: Path) -> None:
    write(project, "svc_f.py", SERVICE.replace("-> str", ""))
    with pytest.raises(ServiceDefinitionError, match=r"^svc_f\.py:6: .*hint"):
        load_service(Target(source=str(project), service="svc_f:Iris"))


def test_a_missing_package_says_what_to_do(project: Path) -> None:
    write(project, "svc_g.py", "import no_such_package\n" + SERVICE)
    with pytest.raises(
        ServiceDefinitionError, match=r"svc_g\.py:1: .*No module named 'no_such_package'; install it"
    ):
        load_service(Target(source=str(project), service="svc_g:Iris"))


def test_a_missing_module_names_what_is_there(project: Path) -> None:
    write(project, "svc_h.py", SERVICE)
    with pytest.raises(ServiceDefinitionError, match=r"no module 'svc_x' in .*; there is svc_h\.py:Iris"):
        load_service(Target(source=str(project), service="svc_x:Iris"))


def test_a_missing_class_names_the_nearest(project: Path) -> None:
    write(project, "svc_i.py", SERVICE)
    with pytest.raises(
        ServiceDefinitionError,
        match=r"svc_i\.py: no class 'Iri'; did you mean 'Iris'\? \(services there: Iris\)",
    ):
        load_service(Target(source=str(project), service="svc_i:Iri"))


def test_a_class_that_is_no_service(project: Path) -> None:
    write(project, "svc_j.py", "class Iris: ...")
    with pytest.raises(ServiceDefinitionError, match=r"Iris is not a service; put @tiffin\.service on it"):
        load_service(Target(source=str(project), service="svc_j:Iris"))


def test_a_name_that_another_module_has_taken(project: Path) -> None:
    write(project, "json.py", SERVICE)
    with pytest.raises(
        ServiceDefinitionError, match=r"json\.py: another module is called 'json' .*rename the file"
    ):
        load_service(Target(source=str(project), service="json:Iris"))
