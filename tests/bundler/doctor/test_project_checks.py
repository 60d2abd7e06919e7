"""Checks of projects, models and bundles."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from patients import machine, only, patient, saved

from tiffin.bundler.doctor import models, pickles, pins, secrets, service, size, versions
from tiffin.bundler.doctor.patient import look_at
from tiffin.bundler.doctor.requirement_lines import asked_by
from tiffin.bundler.snapshot import SourceFile
from tiffin.runtime.manifest import BundleInfo, MethodSpec, ServiceSpec
from tiffin.runtime.service.bundlefile import BundleFile, PythonOptions

SECRET = "AKIA" + "ABCDEFGHIJKLMNOP"


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def source(folder: Path, name: str, data: bytes = b"", size_bytes: int | None = None) -> SourceFile:
    (folder / name).write_bytes(data)
    return SourceFile(name, folder / name, len(data) if size_bytes is None else size_bytes)


def bundle(**options: Any) -> BundleInfo:
    spec = ServiceSpec(name="iris", cls="")
    return BundleInfo(name="iris", version="1", created="", digest="", service=spec, options=options)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_starts_a_program(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "model.joblib").write_bytes(pickle.dumps(Evil(), protocol=protocol))
    model = saved(tmp_path, files={"model.joblib": 1}, pickled=True)
    error, note = pickles.check(patient(models=(model,)))
    assert (error.severity, note.severity) == ("error", "note")
    assert ".system" in error.what
    assert "bundle models delete forest:1" in error.mend


def test_pickles_inside_of_other_files(tmp_path: Path) -> None:
    data = pickle.dumps(Evil())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("model/data.pkl", data)
    (tmp_path / "a.pt").write_bytes(packed.getvalue())
    (tmp_path / "b.joblib").write_bytes(zlib.compress(data))
    assert pickles.dangerous(tmp_path / "a.pt") == pickles.dangerous(tmp_path / "b.joblib") != []


def test_a_harmless_pickle_is_noted_and_refused_where_pickles_are(tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(pickle.dumps({"weights": [1.0, 2.0]}))
    model = saved(tmp_path, files={"model.joblib": 1}, pickled=True)
    only(list(pickles.check(patient(models=(model,)))), "note")
    refusing = patient(models=(model,), on={"environ": {"TIFFIN_ALLOW_PICKLE": "0"}})
    assert "skops" in only(list(pickles.check(refusing)), "error").mend
    assert list(pickles.check(patient(models=(saved(tmp_path),)))) == []


def test_pickles_beside_the_code(tmp_path: Path) -> None:
    harmless = source(tmp_path, "model.pkl", pickle.dumps([1]))
    assert (
        "bundle models save model.pkl"
        in only(list(pickles.check(patient(sources=(harmless,)))), "warning").mend
    )
    only(list(pickles.check(patient(sources=(source(tmp_path, "evil.pkl", pickle.dumps(Evil())),)))), "error")
    assert list(pickles.check(patient(sources=(source(tmp_path, "service.py"),)))) == []


def test_pickles_of_other_names(tmp_path: Path) -> None:
    data = pickle.dumps({"a": pickles.check})
    looked_at = source(tmp_path, "net.onnx", data)
    only(list(pickles.check(patient(sources=(looked_at,), kind="file"))), "note")
    only(list(pickles.check(patient(sources=(source(tmp_path, "net.pt", data),)))), "warning")
    for number, packed in enumerate(
        (bz2.compress(pickle.dumps(Evil())), lzma.compress(pickle.dumps(Evil())))
    ):
        (tmp_path / f"{number}.joblib").write_bytes(packed)
        assert pickles.dangerous(tmp_path / f"{number}.joblib")


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    table, weights = source(tmp_path, "x.onnx", b"a,b\n1,2\n"), tmp_path / "w"
    found = only(list(models.check(patient(sources=(table,), kind="file"))), "error")
    assert found.what == "x.onnx seems to be a text file"
    weights.write_bytes((2).to_bytes(8, "little") + b"{}")
    bare = source(tmp_path, "w", weights.read_bytes())
    assert "network" in only(list(models.check(patient(sources=(bare,), kind="file"))), "warning").mend
    assert list(models.check(patient(sources=(table,)))) == []


def project(folder: Path, text: str, file: str = "requirements.txt", **changes: Any) -> Any:
    (folder / file).write_text(text)
    installed = {"numpy": "2.0.0", "torch": "2.5.1+cpu"}
    on = {"packages": installed, **changes.pop("on", {})}
    return patient(kind="folder", folder=folder, asked=asked_by(folder, BundleFile()), on=on, **changes)


def test_unpinned_packages(tmp_path: Path) -> None:
    found = only(
        list(pins.check(project(tmp_path, "# maths\nnumpy>=1\ntorch\n", on={"uv": False}))), "warning"
    )
    assert "numpy (requirements.txt line 2), torch (requirements.txt line 3)" in found.what
    assert "numpy==2.0.0 torch==2.5.1 " in found.mend
    only(list(pins.check(project(tmp_path, "numpy\n"))), "note")  # with uv every build is locked
    pinned = "numpy==2.0.0 ; python_version > '3'\ntorch @ https://x.example/torch.whl\n"
    assert list(pins.check(project(tmp_path, pinned))) == []


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        ("environment.yml", "name: e\ndependencies:\n  - numpy >=1\n  - pip:\n    - torch\n", (3, 5)),
        ("environment.yml", "dependencies: [python=3.12,\n  numpy=2.0,\n  pytorch]\n", (2, 3)),
        ("pyproject.toml", "[project]\ndependencies = [\n  'numpy>=1',\n  \"torch\",\n]\n", (3, 4)),
    ],
)
def test_unpinned_packages_of_other_files(
    tmp_path: Path, file: str, text: str, where: tuple[int, int]
) -> None:
    found = only(list(pins.check(project(tmp_path, text, file))), "note")
    numpy, torch = where
    assert f"numpy ({file} line {numpy}), torch ({file} line {torch})" in found.what


def test_pinned_packages_of_conda(tmp_path: Path) -> None:
    text = "dependencies:\n  - numpy=2.0.0\n  - pytorch=2.5.1=py312_cpu\n  - libgcc\n"
    assert list(pins.check(project(tmp_path, text, "environment.yml"))) == []


def test_poetry_without_its_lock(tmp_path: Path) -> None:
    text = "[tool.poetry]\nname = 'p'\n[tool.poetry.dependencies]\npython = '^3.10'\nnumpy = '^2'\n"
    found = only(list(pins.check(project(tmp_path, text, "pyproject.toml"))), "warning")
    assert (found.where, found.mend) == ("pyproject.toml line 5", "poetry lock")
    assert "there is no poetry.lock: numpy (pyproject.toml line 5); a bundle gets what its code" in found.what
    lock = "[metadata]\nlock-version = '2.1'\n[[package]]\nname = 'numpy'\nversion = '2.0.0'\n"
    assert list(pins.check(project(tmp_path, lock, "poetry.lock"))) == []


def test_requirements_that_stop_a_build(tmp_path: Path) -> None:
    found = only(list(pins.check(project(tmp_path, "numpy==2.0.0\n-c limits.txt\n"))), "error")
    assert "requirements.txt line 2: '-c limits.txt'" in found.what
    (tmp_path / "requirements.txt").unlink()
    found = only(list(pins.check(project(tmp_path, "dependencies: 7\n", "environment.yml"))), "error")
    assert (found.where, "no list of dependencies" in found.what) == ("environment.yml", True)


def test_a_lock_of_the_project_is_enough(tmp_path: Path) -> None:
    lock = "version = 1\n[[package]]\nname = 'p'\nsource = { virtual = '.' }\n"
    assert list(pins.check(project(tmp_path, lock, "uv.lock"))) == []
    (tmp_path / "requirements.txt").write_text("numpy\n")
    assert list(pins.check(project(tmp_path, lock, "uv.lock"))) == []


def test_packages_that_are_not_installed_are_named_as_they_are_written(tmp_path: Path) -> None:
    text = "mylib @ git+https://x.example/mylib\npywin32==306 ; sys_platform == 'win32'\n"
    found = only(list(pins.check(project(tmp_path, text))), "warning")
    assert found.mend == "pip install 'mylib @ git+https://x.example/mylib'"


def test_no_requirements_at_all(tmp_path: Path) -> None:
    nothing = patient(kind="folder", folder=tmp_path, asked=asked_by(tmp_path, BundleFile()))
    assert "the project names no packages" in only(list(pins.check(nothing)), "note").what
    assert list(pins.check(project(tmp_path, "dependencies: [numpy==2.0.0]\n", "environment.yml"))) == []


def test_requirements_of_every_place(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r more.txt\n--index-url https://x.example\n")
    (tmp_path / "more.txt").write_text("\nscikit_learn==1.5 # trees\n")
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["polars"]\n')
    assert [line.name for line in asked_by(tmp_path, BundleFile()).lines] == ["scikit-learn"]
    found = asked_by(tmp_path, BundleFile(python=PythonOptions(packages=["numpy"]))).lines
    assert [(line.name, line.where, line.pinned) for line in found] == [
        ("numpy", "bundlefile.yaml (python.packages)", False),
        ("scikit-learn", "more.txt line 2", True),
    ]
    (tmp_path / "requirements.txt").unlink()
    assert [line.where for line in asked_by(tmp_path, BundleFile()).lines] == ["pyproject.toml line 2"]


def test_a_bundle_without_a_lock() -> None:
    found = patient(kind="bundle", bundle=bundle(locked=False, unlocked_because="uv is not installed"))
    assert "uv is not installed" in only(list(pins.check(found)), "warning").what
    assert list(pins.check(patient(kind="bundle", bundle=bundle(locked=True)))) == []


def test_versions_of_a_model() -> None:
    model = saved(versions={"python": "3.11.7", "tiffin": "0.0.1", "scikit-learn": "1.4.0"})

    def found(version: str, **changes: Any) -> list[Any]:
        return list(
            versions.check(patient(models=(model,), on={"packages": {"scikit-learn": version}}, **changes))
        )

    assert found("1.4.0") == []
    assert "scikit-learn==1.4.0" in only(found("1.5.1"), "warning").mend
    assert "not installed" in only(list(versions.check(patient(models=(model,)))), "error").what
    locked = found("1.4.0", locked={"scikit-learn": "1.5.1"}, title="iris:1")
    assert "the bundle is locked to 1.5.1" in only(locked, "warning").what


def test_a_pickle_of_another_python() -> None:
    model = saved(versions={"python": "3.9.1"}, pickled=True)
    assert "--python 3.9" in only(list(versions.check(patient(models=(model,)))), "warning").mend
    assert list(versions.check(patient(models=(saved(versions={"python": "3.9.1"}),)))) == []


def test_models_that_are_damaged_or_say_little(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"1234")
    assert list(models.check(patient(models=(saved(tmp_path, files={"weights": 4}),)))) == []
    found = only(
        list(models.check(patient(models=(saved(tmp_path, files={"weights": 5, "more": 1}),)))), "error"
    )
    assert "weights: changed, more: missing" in found.what
    silent = saved(tmp_path, methods={"predict": MethodSpec()})
    assert "example=" in only(list(models.check(patient(models=(silent,)))), "note").mend


def test_secrets(tmp_path: Path) -> None:
    file = source(tmp_path, "settings.py", f"KEY = '{SECRET}'\n".encode())
    assert ".bundleignore" in only(list(secrets.check(patient(sources=(file,)))), "error").mend
    allowed = BundleFile(allow_secrets=["settings.py"])
    assert list(secrets.check(patient(sources=(file,), wishes=allowed))) == []


def test_size(tmp_path: Path) -> None:
    large = source(tmp_path, "data.csv", size_bytes=200 * 10**6)
    assert "200 MB" in only(list(size.check(patient(sources=(large,)))), "warning").what
    many = tuple(SourceFile(f"images/{number}.png", tmp_path, 1) for number in range(6000))
    assert "'images/'" in only(list(size.check(patient(sources=many))), "warning").mend
    assert list(size.check(patient(sources=many[:10]))) == []


def test_a_service_that_cannot_be_imported(tmp_path: Path) -> None:
    broken = patient(kind="folder", folder=tmp_path, title="x", problem="no model 'iris': none\nmore")
    assert "bundle build" in only(list(service.check(broken)), "error").mend
    (tmp_path / "train.py").write_text("")
    assert "python train.py" in only(list(service.check(broken)), "error").mend
    assert list(service.check(patient())) == []


def test_a_project_whose_code_does_not_parse_is_looked_at_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text("import tiffin\nclass Iris(\n")
    (tmp_path / "requirements.txt").write_text("scikit-learn\n")
    seen = look_at(str(tmp_path), machine())
    assert [line.name for line in seen.asked.lines] == ["scikit-learn"]
    (finding,) = service.check(seen)
    assert "not Python" in finding.what
