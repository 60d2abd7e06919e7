"""The SBOM, by the official schema."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.bundler.image.sbom import other_locks, render_sbom
from tiffin.bundler.python.lockfile import Locked, read_lock, read_requirements, without_hash
from tiffin.bundler.python.wheel import Wheel
from tiffin.errors import IntegrityError
from tiffin.runtime.manifest import FileEntry, ModelInfo, ServiceSpec

A, B = "ab" * 32, "cd" * 32
LOCK = f"""\
--extra-index-url https://download.pytorch.org/whl/cpu
# a comment
numpy==2.1.0 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
Torch_Vision[extra]==2.5.1+cpu ; sys_platform == 'linux' \\
    --hash=sha256:{A}
mine @ git+https://example.com/mine@0123456789
file @ https://example.com/file-1.0-py3-none-any.whl \\
    --hash=sha256:{B}
"""
SERVICE = ServiceSpec(name="iris", cls="service:Iris")
WHEEL = Wheel("tiffin-0.1.0-py3-none-any.whl", "0.1.0", b"PK")
MODEL = ModelInfo(
    name="iris",
    version="1",
    framework="sklearn",
    created="",
    files=[FileEntry(path="model.pkl", size_bytes=3, sha256=A)],
    digest=f"sha256:{B}",
    size_bytes=3,
    pickled=True,
)


def validate(text: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    assert problem is None, problem


def test_reading_a_lock() -> None:
    numpy, vision, mine, file = read_lock(LOCK)
    assert numpy == Locked(name="numpy", version="2.1.0", hashes=(A, B))
    assert vision == Locked(
        name="torch-vision", version="2.5.1+cpu", marker="sys_platform == 'linux'", hashes=(A,)
    )
    assert mine == Locked(name="mine", url="git+https://example.com/mine@0123456789")
    assert file.url == "https://example.com/file-1.0-py3-none-any.whl"
    assert without_hash(read_lock(LOCK)) == ["mine"]
    assert read_lock("") == []
    with pytest.raises(IntegrityError, match="'numpy>=2', which pins nothing"):
        read_lock("numpy>=2\n")


def test_reading_requirements() -> None:
    text = "# for tiffin\nnumpy>=2\nTorch==2.5.1\nmine @ git+https://x/y\n--pre\nrich; a == 'b'\n"
    assert read_requirements(text) == [
        Locked(name="numpy"),
        Locked(name="torch", version="2.5.1"),
        Locked(name="mine", url="git+https://x/y"),
        Locked(name="rich"),
    ]


def test_it_follows_the_schema() -> None:
    text = render_sbom(SERVICE, packages=read_lock(LOCK), models=[MODEL], wheel=WHEEL, locked=True)
    validate(text)
    document = json.loads(text)
    assert [(each["type"], each["name"]) for each in document["components"]] == [
        ("library", "tiffin"),
        ("library", "numpy"),
        ("library", "torch-vision"),
        ("library", "mine"),
        ("library", "file"),
        ("machine-learning-model", "iris"),
    ]
    assert document["components"][2]["purl"] == "pkg:pypi/torch-vision@2.5.1%2Bcpu"
    # The hashes of packages stay in the lock: they would go out again with each change of code.
    assert set(document["components"][1]) == {"type", "bom-ref", "name", "purl", "version"}
    assert document["components"][-1]["components"][0]["hashes"] == [{"alg": "SHA-256", "content": A}]
    assert text == render_sbom(SERVICE, packages=read_lock(LOCK), models=[MODEL], wheel=WHEEL, locked=True)
    other = json.loads(render_sbom(SERVICE, packages=[], models=[], wheel=WHEEL, locked=False))
    assert other["serialNumber"] != document["serialNumber"]
    assert other["metadata"]["properties"] == [{"name": "tiffin:locked", "value": "false"}]


def test_the_validator_sees_faults() -> None:
    text = render_sbom(SERVICE, packages=[], models=[], wheel=WHEEL, locked=False)
    with pytest.raises(AssertionError):
        validate(text.replace('"library"', '"book"'))


@given(
    version=st.text(min_size=1, max_size=20),
    marker=st.text(max_size=20),
    path=st.text(min_size=1, max_size=20),
)
def test_whatever_is_in_it(version: str, marker: str, path: str) -> None:
    package = Locked(name="a", version=version, marker=marker, hashes=(A,))
    model = ModelInfo(
        name="m",
        version="1",
        framework="x",
        created="",
        files=[FileEntry(path=path, size_bytes=1, sha256=A)],
        digest="sha256:x",
        size_bytes=1,
    )
    validate(render_sbom(SERVICE, packages=[package], models=[model], wheel=WHEEL, locked=True))


def test_locks_of_several_platforms() -> None:
    """What all have is told once, what one lacks with where it is."""
    arm = "numpy==2.1.0 \\\n    --hash=sha256:" + A + "\nscipy==1.14.0\n"
    others = other_locks({"env/python/requirements.linux-arm64.lock": arm, "src/x.lock": "hello"})
    assert list(others) == ["linux/arm64"]
    text = render_sbom(
        SERVICE,
        packages=read_lock("numpy==2.1.0\nmkl==2024.0\n"),
        models=[],
        wheel=WHEEL,
        locked=True,
        platform="linux/amd64",
        others=others,
        root={"version": "v1", "digest": "sha256:x"},
    )
    validate(text)
    document = json.loads(text)
    where = {each["name"]: each.get("properties") for each in document["components"][1:]}
    assert where == {
        "numpy": None,
        "mkl": [{"name": "tiffin:platform", "value": "linux/amd64"}],
        "scipy": [{"name": "tiffin:platform", "value": "linux/arm64"}],
    }
    assert document["metadata"]["component"]["version"] == "v1"
