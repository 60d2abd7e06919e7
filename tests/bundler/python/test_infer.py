"""From imports to the distributions of an environment."""

from __future__ import annotations

import json
import sys
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from projects import write

from tiffin.bundler.python.infer import infer
from tiffin.bundler.python.installed import InstalledPackages
from tiffin.bundler.python.observed import Observed


def install(
    site: Path,
    name: str,
    version: str,
    *files: str,
    requires: tuple[str, ...] = (),
    origin: dict[str, object] | None = None,
) -> None:
    """A distribution as an installer leaves it, with empty modules."""
    folder = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {each}\n" for each in requires)
    record = "".join(f"{file},,\n" for file in [*files, f"{folder}/METADATA"])
    write(site, {**dict.fromkeys(files, ""), f"{folder}/METADATA": metadata, f"{folder}/RECORD": record})
    if origin is not None:
        write(site, {f"{folder}/direct_url.json": json.dumps(origin)})


def packages(site: Path) -> InstalledPackages:
    return InstalledPackages(
        [PathDistribution(path) for path in sorted([*site.glob("*.dist-info"), *site.glob("lib/*.egg-info")])]
    )


def wanted(site: Path, source: str, seen: tuple[tuple[str, str], ...] = ()) -> list[str]:
    write(site / "src", {"service.py": source})
    return [each.text for each in infer(site / "src", ["service"], seen=seen, packages=packages(site)).wanted]


def test_exact_versions_of_what_is_imported_and_nothing_else(tmp_path: Path) -> None:
    install(tmp_path, "PyYAML", "6.0.2", "yaml/__init__.py", "_yaml.cpython-311.so")
    install(tmp_path, "torch", "2.5.1+cpu", "torch/__init__.py", requires=("sympy",))
    install(tmp_path, "sympy", "1", "sympy/__init__.py")
    install(tmp_path, "six", "1.17", "six.py")
    install(tmp_path, "pytest", "9", "pytest/__init__.py")
    found = wanted(tmp_path, "import yaml, torch.nn as nn\nimport _yaml, json, tiffin\nfrom six import moves")
    assert found == ["pyyaml==6.0.2", "six==1.17", "torch==2.5.1"]
    needs = infer(tmp_path / "src", ["service"], packages=packages(tmp_path))
    assert [each.where for each in needs.wanted][1] == "service.py line 3 (import six)"


def test_a_namespace_of_several(tmp_path: Path) -> None:
    install(tmp_path, "google-cloud-storage", "2", "google/cloud/storage/__init__.py")
    install(tmp_path, "google-cloud-core", "1", "google/cloud/client/__init__.py")
    install(tmp_path, "protobuf", "5", "google/protobuf/__init__.py")
    found = wanted(tmp_path, "from google.cloud import storage\nimport google.protobuf.message")
    assert found == ["google-cloud-storage==2", "protobuf==5"]


def test_two_that_have_one_module_are_both_there(tmp_path: Path) -> None:
    install(tmp_path, "opencv-python", "4", "cv2/__init__.py")
    install(tmp_path, "opencv-python-headless", "4", "cv2/__init__.py")
    assert wanted(tmp_path, "import cv2") == ["opencv-python-headless==4", "opencv-python==4"]


def test_optional_ones_when_they_are_there(tmp_path: Path) -> None:
    install(tmp_path, "orjson", "3", "orjson/__init__.py")
    text = "try:\n    import orjson, ujson\nexcept ImportError:\n    pass\ndef f():\n    import gone\n"
    write(tmp_path / "src", {"service.py": text})
    needs = infer(tmp_path / "src", ["service"], packages=packages(tmp_path))
    assert [each.text for each in needs.wanted] == ["orjson==3"]
    assert len(needs.notes) == 1
    assert "gone (service.py line 6)" in needs.notes[0]


def test_extras_that_are_in_use(tmp_path: Path) -> None:
    """What a package of the first level imported although only an extra of its own asks for it."""
    install(
        tmp_path, "transformers", "4", "transformers/__init__.py",
        requires=("numpy", "torch>=2; extra == 'torch'", "jax; extra == 'jax'", "numpy; extra == 'np'"),
    )  # fmt: skip
    for name in ("numpy", "torch", "jax", "rich", "ipywidgets"):
        install(tmp_path, name, "1", f"{name}/__init__.py")
    seen = (("", "transformers"), ("transformers", "numpy"), ("transformers", "torch"),
            ("transformers", "rich"), ("torch", "ipywidgets"))  # fmt: skip
    assert wanted(tmp_path, "import transformers", seen) == ["torch==1", "transformers==4"]


def test_dynamic_imports_of_the_service(tmp_path: Path) -> None:
    install(tmp_path, "plugin", "1", "plugin.py")
    assert wanted(tmp_path, "x = 1", (("", "plugin"), ("other", "none"))) == ["plugin==1"]


def test_what_came_from_no_index(tmp_path: Path) -> None:
    lib = write(tmp_path / "lib", {"setup.py": ""})
    git = {
        "url": "https://me:secret@example.org/r.git",
        "vcs_info": {"vcs": "git", "commit_id": "0123", "requested_revision": "main"},
    }
    install(tmp_path, "repo", "1", "repo.py", origin={**git, "subdirectory": "py"})
    archive = {"url": "https://f/far.whl", "archive_info": {"hashes": {"sha256": "a" * 64}}}
    install(tmp_path, "far", "1", "far.py", origin=archive)
    install(tmp_path, "edited", "1", origin={"url": lib.as_uri(), "dir_info": {"editable": True}})
    install(tmp_path, "plain", "1", "plain.py", origin={"url": lib.as_uri(), "dir_info": {}})
    write(lib, {"edited_module.py": "", "edited.egg-info/PKG-INFO": "Name: edited\nVersion: 1\n"})
    write(lib, {"edited.egg-info/top_level.txt": "edited_module\n"})
    write(tmp_path / "src", {"service.py": "import repo, far, edited_module, plain"})
    sys.path.insert(0, str(lib))  # as its .pth file does
    try:
        needs = infer(tmp_path / "src", ["service"], packages=packages(tmp_path))
    finally:
        sys.path.remove(str(lib))
    assert [each.text for each in needs.wanted] == [
        "far @ https://f/far.whl",
        "repo @ git+https://example.org/r.git@0123#subdirectory=py",
    ]
    assert needs.pinned["far"].hashes == ("a" * 64,)
    assert [(each.name, each.path, each.editable) for each in needs.locals] == [
        ("edited", lib.resolve(), True),
        ("plain", tmp_path, False),
    ]


def test_who_imports_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "site", {"xb.py": "", "xc.py": ""})
    write(tmp_path / "site", {"xa.py": "import xb, json\n"})
    write(tmp_path / "src", {"xservice.py": "import importlib\nimport xa\nimportlib.import_module('xc')\n"})
    for folder in ("site", "src"):
        monkeypatch.syspath_prepend(str(tmp_path / folder))
    observed = Observed(tmp_path / "src")
    before = list(sys.meta_path)
    try:
        with observed:
            import xservice  # type: ignore[import-not-found]  # noqa: F401
    finally:
        for name in ("xservice", "xa", "xb", "xc"):
            sys.modules.pop(name, None)
    assert sys.meta_path == before
    assert observed.found[1:] == [("", "xa"), ("xa", "xb"), ("", "xc")]
