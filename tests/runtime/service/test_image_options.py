from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import ConfigError
from tiffin.runtime.manifest import BundleInfo, ServiceSpec, dump_yaml, load_yaml
from tiffin.runtime.service.bundlefile import find_bundlefile
from tiffin.runtime.service.image_options import ImageOptions, changed

FULL = """
image:
  cuda: "12.8"
  distro: ubuntu22.04
  system_packages: [libgl1, "curl=8.5.0-2ubuntu10", "libstdc++6:amd64"]
  env: {LOG_LEVEL: debug, EMPTY: ""}
  dockerfile_template: docker/Dockerfile.j2
  user: 1234
"""
DIGEST = "sha256:" + "ab" * 32


def options_of(folder: Path, text: str) -> ImageOptions:
    (folder / "bundlefile.yaml").write_text(text, encoding="utf-8")
    found = find_bundlefile(folder)
    assert found is not None
    return found.image


def test_every_key(tmp_path: Path) -> None:
    assert options_of(tmp_path, FULL) == ImageOptions(
        cuda="12.8",
        distro="ubuntu22.04",
        system_packages=["libgl1", "curl=8.5.0-2ubuntu10", "libstdc++6:amd64"],
        env={"LOG_LEVEL": "debug", "EMPTY": ""},
        dockerfile_template="docker/Dockerfile.j2",
        user=1234,
    )
    assert options_of(tmp_path, "image: {}\n") == ImageOptions()


def test_the_manifest_keeps_them(tmp_path: Path) -> None:
    info = BundleInfo(
        name="a",
        version="b",
        created="",
        digest="",
        service=ServiceSpec(name="a", cls="a:A"),
    )
    assert "image" not in dump_yaml(info)
    info.image = ImageOptions(cuda="12.8", env={"A": "b"})
    (tmp_path / "bundle.yaml").write_text(dump_yaml(info))
    assert load_yaml(tmp_path / "bundle.yaml", BundleInfo).image == info.image


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bas: x", r"unknown key image\.bas; did you mean 'base'\?"),
        ("cuda: 12.8", r"write '12\.8'"),
        ("cuda: newest", "cuda: 'newest' is not known"),
        ("base: 'x y'", "base: 'x y' is not the name of an image"),
        ("base: 'x\n\n  RUN y'", "is not the name of an image"),
        ("distro: 'ubuntu 22'", "distro: 'ubuntu 22' is not"),
        ("accelerator: tpu", 'accelerator: "tpu" is not known'),
        ("{accelerator: rocm, cuda: '12.8'}", "does not go with cuda"),
        ("{base: x, distro: ubi9}", "base and distro exclude each other"),
        ("{base: x, accelerator: rocm}", "base and accelerator exclude each other"),
        ("system_packages: ['-y']", "'-y' is no package's name"),
        ("system_packages: ['a; b']", "'a; b' is no package's name"),
        ("env: {'A B': c}", "'A B' is not the name of a variable"),
        ("env: {Path: c}", "Path is set by the image itself"),
        ("env: {HF_TOKEN: c}", "HF_TOKEN looks like a secret"),
        ("env: {OPENAI_API_KEY: c}", "looks like a secret"),
        ('env: {A: "b\\nRUN c"}', "must be one line"),
        ("dockerfile_template: ../x", "must lie in the project folder"),
        ("dockerfile_template: /x", "must lie in the project folder"),
        ("user: -1", "user: -1 is out of range"),
        ("user: root", 'user: "root" is text and must be a whole number'),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        options_of(tmp_path, f"image: {text}\n" if text.startswith("{") else f"image:\n  {text}\n")


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"cuda: 'x'.*user: -1"):
        changed(ImageOptions(), cuda="x", user=-1)


def test_changed() -> None:
    old = ImageOptions(cuda="12.8", env={"A": "b"})
    assert changed(old, base="x", cuda="none") == ImageOptions(base="x", cuda="none", env={"A": "b"})
    assert old.base == ""
    with pytest.raises(ConfigError, match="unknown option cud; did you mean 'cuda'"):
        changed(old, cud="none")
    with pytest.raises(ConfigError, match="Expected `str`"):
        changed(old, cuda=12)


@pytest.mark.parametrize(
    "base",
    [
        "python",
        "python:3.11-slim",
        "nvidia/cuda:12.8.1-base-ubuntu22.04",
        f"python@{DIGEST}",
        "localhost:5000/a/b_c:V1",
        "763104351884.dkr.ecr.us-west-2.amazonaws.com/x:1",
        "public.ecr.aws/neuron/pytorch-inference-neuronx:2.1.2-neuronx-py310-sdk2.20.0-ubuntu20.04",
    ],
)
def test_names_of_images(base: str) -> None:
    assert ImageOptions(base=base).base == base


ANY_TEXT = st.text(max_size=40) | st.sampled_from(
    ["a\nRUN b", "a\\", 'a"b', "$(x)", "`x`", "a #b", "a=b c", "-x"]
)
DANGEROUS = set("\n\r\\\"'`$#;&|<> \t")


@given(base=ANY_TEXT, package=ANY_TEXT, name=ANY_TEXT, cuda=ANY_TEXT, distro=ANY_TEXT)
def test_what_passes_cannot_leave_its_word(
    base: str, package: str, name: str, cuda: str, distro: str
) -> None:
    for options in (
        {"base": base},
        {"system_packages": [package]},
        {"env": {name: ""}},
        {"cuda": cuda},
        {"distro": distro},
    ):
        try:
            kept = msgspec.convert(options, ImageOptions)
        except msgspec.ValidationError:
            continue
        words = [kept.base, *kept.system_packages, *kept.env, kept.cuda, kept.distro]
        assert not DANGEROUS.intersection("".join(words))
        assert not any(word.startswith("-") for word in words)
