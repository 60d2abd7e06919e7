"""A build with a label of its own, as `torch 2.13.0+cpu`, comes from the index that has it, not from PyPI."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from simple_index import SimpleIndex, simple_index, wheel

from tiffin.bundler.check.environment import clean_environment
from tiffin.bundler.python import local_versions as local_versions_module
from tiffin.bundler.python import requirements as requirements_module
from tiffin.bundler.python.dependencies import Code, Dependencies, dependencies
from tiffin.bundler.python.environment import environment, this_python
from tiffin.bundler.python.local_versions import add_local_versions, origin
from tiffin.bundler.python.lockfile import read_lock
from tiffin.bundler.python.needs import Index, Needs
from tiffin.runtime.manifest import ModelInfo, ServiceSpec
from tiffin.runtime.service.bundlefile import PythonOptions

PUBLIC = dict([
    wheel("torchlike", "1.0", torchlike="BUILD = 'cuda'"), wheel("alpha"),
    wheel("needs-it", "3.0", requires=("torchlike>=1",)),
])  # fmt: skip
CPU = dict(
    [wheel("torchlike", "1.0+cpu", requires=("alpha",), torchlike="BUILD = 'cpu'"), wheel("alpha", "9.0")]
)


def install(folder: Path, name: str, version: str, *requires: str) -> None:
    """As an installer leaves it."""
    module = name.replace("-", "_")
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = "".join(f"Requires-Dist: {each}\n" for each in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{lines}")
    (info / "RECORD").write_text(f"{module}.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")
    (folder / f"{module}.py").touch()


@pytest.fixture
def cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleIndex]:
    """An index as PyTorch's, beside one as PyPI; what came from them is installed."""
    monkeypatch.setattr(requirements_module, "requires", lambda _: ["alpha"])
    for name, folder in (("TIFFIN_HOME", "home"), ("UV_CACHE_DIR", "uv"), ("PIP_CONFIG_FILE", "none")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setattr(local_versions_module, "_pip_files", list)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    install(tmp_path / "site", "torchlike", "1.0+cpu", "alpha")
    install(tmp_path / "site", "needs-it", "3.0", "torchlike>=1")
    install(tmp_path / "site", "alpha", "1.0")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    with simple_index(dict(PUBLIC)) as pypi, simple_index(dict(CPU)) as cpu:
        monkeypatch.setenv("UV_DEFAULT_INDEX", pypi.url)
        yield cpu


def made(folder: Path, *models: ModelInfo, lock: bool | None = True, **files: str) -> Dependencies:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    service = ServiceSpec(name="s", cls="service:S")
    code = Code(folder, ["service"])
    return dependencies(folder, PythonOptions(), code, models=models, service=service, lock=lock)


def versions(found: Dependencies) -> dict[str, str]:
    assert found.lock is not None
    return {each.name: each.version for each in read_lock(found.lock.text)}


def saved_with(version: str) -> ModelInfo:
    return ModelInfo(
        name="net", version="1", framework="x", created="", files=[], digest="", size_bytes=0,
        versions={"torchlike": version},
    )  # fmt: skip


def test_what_is_imported_comes_from_the_index_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: SimpleIndex
) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", cpu.url)
    found = made(tmp_path, service_py="import torchlike\n")
    assert versions(found) == {"torchlike": "1.0+cpu", "alpha": "1.0"}  # and nothing else from there
    assert found.notes == [f"torchlike 1.0+cpu comes from {cpu.url}, as it is here"]
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL")
    for path, text in found.texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    with clean_environment(tmp_path, this_python()) as there:  # the bundle knows the index by itself
        module = next(there.python.parent.parent.glob("lib/*/site-packages/torchlike.py"))
    assert "'cpu'" in module.read_text()


@pytest.mark.parametrize("name", ["UV_EXTRA_INDEX_URL", "pip.conf", "named"])
def test_wherever_the_index_is_known_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: SimpleIndex, name: str
) -> None:
    address = f"http://me:s3cret@{cpu.url.removeprefix('http://')}"
    if name == "pip.conf":
        (tmp_path / "none").write_text(
            f"[global]\nextra-index-url =\n    file:///srv/simple\n    {address}\n"
        )
    elif name == "named":
        monkeypatch.setenv("UV_INDEX", f"lab={address}")
    else:
        monkeypatch.setenv(name, address)
    found = made(tmp_path, service_py="import needs_it\n")
    assert versions(found)["torchlike"] == "1.0+cpu"
    assert "s3cret" not in "".join(found.texts.values())
    assert ('name = "lab"' in found.texts["env/python/uv.toml"]) == (name == "named")


def test_a_model_comes_with_the_build_that_it_was_saved_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: SimpleIndex
) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", cpu.url)
    assert (
        versions(made(tmp_path, saved_with("1.0+cpu"), requirements_txt="alpha\n"))["torchlike"] == "1.0+cpu"
    )
    other = made(
        tmp_path, saved_with("1.0+cpu"), requirements_txt="torchlike<2\n"
    )  # the project's word counts
    assert (versions(other)["torchlike"], other.notes) == ("1.0", [])


def test_where_no_index_has_it_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: SimpleIndex
) -> None:
    cpu.files.clear()
    monkeypatch.setenv("UV_INDEX", cpu.url)
    found = made(tmp_path, service_py="import torchlike\n")
    assert versions(found) == {"torchlike": "1.0", "alpha": "1.0"}
    assert found.notes[0].startswith("torchlike is 1.0+cpu here, which no index has that this machine knows")
    cpu.files.update(CPU)
    cpu.asked.clear()
    assert made(tmp_path) == found  # who has not got it is not asked at every build
    assert not cpu.asked
    for kept in (tmp_path / "home/cache/origins").iterdir():
        os.utime(kept, (0, 0))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv2"))
    assert versions(made(tmp_path))["torchlike"] == "1.0+cpu"


def test_a_build_for_the_cpu_is_of_no_use_to_runners_with_gpus(cpu: SimpleIndex) -> None:
    needs = Needs()
    add_local_versions(needs, [saved_with("1.0+cpu")], environment(), inferred=False, gpus=True)
    assert (needs.wanted, cpu.asked) == ([], [])
    assert needs.notes == ["torchlike is 1.0+cpu here, and runners ask for GPUs: the bundle gets 1.0"]


def test_who_does_not_answer_is_asked_again_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: SimpleIndex
) -> None:
    down = Index("down", "http://127.0.0.1:9/simple", explicit=True)
    assert origin("torchlike", "1.0+cpu", environment(), [down]) is None
    (kept,) = (tmp_path / "home/cache/origins").iterdir()
    monkeypatch.setattr(local_versions_module, "_asked", lambda *_: "has")
    assert origin("torchlike", "1.0+cpu", environment(), [down]) is None
    minutes_ago = kept.stat().st_mtime - 400
    os.utime(kept, (minutes_ago, minutes_ago))
    assert origin("torchlike", "1.0+cpu", environment(), [down]) == down


def test_no_index_is_asked_without_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: SimpleIndex
) -> None:
    monkeypatch.setenv("UV_INDEX", cpu.url)
    found = made(tmp_path, lock=False, service_py="import torchlike\n")
    assert "torchlike==1.0\n" in found.texts["env/python/requirements.in"]
    assert not cpu.asked


def test_builds_of_pytorch_are_on_its_own_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    asked: list[str] = []
    monkeypatch.setattr(
        local_versions_module, "_asked", lambda uv, index, what, where: asked.append(index.url) or "has"
    )
    for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(local_versions_module, "_pip_files", list)
    monkeypatch.setattr(local_versions_module, "machine_indexes", dict)
    here = environment()
    for label in ("cpu", "cu126", "rocm6.2.4"):
        found = origin("torchvision", f"0.20.0+{label}", here, [])
        assert found == Index(f"pytorch-{label}", f"https://download.pytorch.org/whl/{label}", explicit=True)
        assert origin("torchlike", f"0.20.0+{label}", here, []) is None
    own = Index("own", "https://own.example/simple")
    assert origin("torchvision", "0.20.0+cpu", here, [own]) == own
    assert asked[-1] == own.url
