"""The tables of images and wheels: what a row has to look like, and floors under what they know."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from itertools import pairwise

import pytest

from tiffin.bundler.image.cuda_table import (
    IMAGES,
    WHEELS,
    WheelRow,
    images,
    known_releases,
    major,
    minor,
    need,
    numbers,
    oldest_driver,
    own_driver,
    read_wheels,
    wheel,
)
from tiffin.bundler.image.cuda_tags import every_tag

DISTROS = {"ubuntu20.04", "ubuntu22.04", "ubuntu24.04", "ubuntu26.04", "ubi8", "ubi9"}
TAG = re.compile(
    r"nvidia/cuda:\d+\.\d+\.\d+-(base|runtime|devel|cudnn[89]?-(runtime|devel))-(ubuntu\d\d\.04|ubi[89])"
)


def rows_of(package: str) -> list[WheelRow]:
    return [row for row in read_wheels() if row.package == package]


def test_every_tag_has_the_form_of_a_tag_and_stands_there_once() -> None:
    tags = every_tag()
    assert [tag for tag in tags if not TAG.fullmatch(tag)] == []
    assert len(tags) == len(set(tags))


def test_every_row_says_where_it_was_read() -> None:
    table = images()
    rows = [*table.cuda, *table.drivers, *table.families, *table.needs, *table.python, *table.plain]
    cited = set()
    for row in [*rows, *table.accelerators]:
        names = row.source.split(", ")
        assert set(names) <= set(table.sources), row
        cited.update(names)
    assert cited == set(table.sources)
    assert all("https://" in text for text in table.sources.values())


def test_images_cover_what_is_in_use() -> None:
    assert len(every_tag()) > 700
    assert set(known_releases()) >= {f"12.{number}" for number in range(10) if number != 7}
    assert set(known_releases()) >= {"11.8", "13.0", "13.1", "13.2", "13.3"}
    for release in ("11.8", "12.4", "12.6", "12.8", "12.9", "13.0"):
        distros = {distro for row in images().cuda if minor(row.release) == release for distro in row.distros}
        assert distros >= {"ubuntu22.04", "ubi8"}, release


@pytest.mark.parametrize(
    "tag",
    [
        "11.8.0-cudnn8-runtime-ubuntu22.04",
        "12.4.1-cudnn-runtime-ubuntu22.04",
        "12.8.1-cudnn-devel-ubuntu24.04",
        "12.8.2-base-ubi9",
        "13.0.3-runtime-ubuntu24.04",
    ],
)
def test_tags_that_exist(tag: str) -> None:
    assert f"nvidia/cuda:{tag}" in every_tag()


@pytest.mark.parametrize(
    "tag",
    [
        "12.8.2-cudnn-runtime-ubuntu24.04",  # that update has no images with cuDNN
        "12.7.0-base-ubuntu22.04",  # the release does not exist
        "13.0.3-base-ubuntu20.04",  # CUDA 13 ended it
        "12.4.1-base-ubuntu24.04",  # began with 12.5
        "12.2.2-cudnn-runtime-ubuntu22.04",  # cudnn8 in its name
        "12.8.1-base-debian12",
    ],
)
def test_tags_that_people_write_and_that_do_not_exist(tag: str) -> None:
    assert f"nvidia/cuda:{tag}" not in every_tag()


def test_rows_of_images_are_in_order_and_agree_with_themselves() -> None:
    rows = images().cuda
    assert [numbers(row.release) for row in rows] == sorted(
        (numbers(row.release) for row in rows), reverse=True
    )
    for row in rows:
        assert set(row.distros) <= DISTROS
        assert set(row.platforms) <= {"amd64", "arm64"} and "amd64" in row.platforms
        with_cudnn = [flavor for flavor in row.flavors if flavor.startswith("cudnn")]
        assert bool(with_cudnn) == bool(row.cudnn)
        for flavor in with_cudnn:
            assert flavor.partition("-")[0] in {"cudnn", f"cudnn{row.cudnn}"}
        assert {"base", "runtime", "devel"} <= set(row.flavors)


def test_one_update_of_a_release_is_mended_and_it_is_the_newest() -> None:
    updates: dict[str, set[str]] = defaultdict(set)
    mended: dict[str, set[str]] = defaultdict(set)
    for row in images().cuda:
        updates[minor(row.release)].add(row.release)
        if row.supported:
            mended[minor(row.release)].add(row.release)
    for release, found in mended.items():
        assert found == {max(updates[release], key=numbers)}, release


def test_newer_releases_need_newer_drivers() -> None:
    families = sorted(images().families, key=lambda row: row.major)
    assert [numbers(row.driver) for row in families] == sorted(numbers(row.driver) for row in families)
    assert all(branch < major(row.driver) for row in families for branch in row.forward)
    drivers = sorted(images().drivers, key=lambda row: numbers(row.cuda))
    assert [numbers(row.driver) for row in drivers] == sorted(numbers(row.driver) for row in drivers)
    for row in drivers:
        assert numbers(row.driver) >= numbers(oldest_driver(row.cuda)), row


def test_drivers_by_release() -> None:
    assert oldest_driver("12.8") == "525.60.13"
    assert oldest_driver("13") == "580.65.06"
    assert oldest_driver("14.0") == ""
    assert own_driver("12.8.1") == "570.26"
    assert own_driver("12") == ""


def test_every_release_of_an_image_has_a_family() -> None:
    assert {row.major for row in images().families} >= {major(row.release) for row in images().cuda}


@pytest.mark.parametrize(
    ("package", "floor"),
    [
        ("torch", 30),
        ("tensorflow", 19),
        ("jax-cuda12-plugin", 30),
        ("jax-cuda13-plugin", 10),
        ("onnxruntime-gpu", 25),
        ("xgboost", 20),
        ("cupy-cuda12x", 15),
    ],
)
def test_wheels_have_a_row_for_every_version(package: str, floor: int) -> None:
    assert len(rows_of(package)) >= floor


def test_every_minor_version_of_torch_has_a_row() -> None:
    found = {numbers(row.version)[:2] for row in rows_of("torch")}
    last = max(number for first, number in found if first == 2)
    assert found == {(1, 13), *((2, number) for number in range(last + 1))}
    assert last >= 15


@pytest.mark.parametrize(
    "package", ["torch", "tensorflow", "onnxruntime-gpu", "xgboost", "jax-cuda12-plugin"]
)
def test_newer_wheels_are_not_for_older_cuda(package: str) -> None:
    for arch in ("amd64", "arm64"):
        found = [numbers(text) for row in rows_of(package) if (text := getattr(row, arch))]
        assert found == sorted(found)


@pytest.mark.parametrize(
    ("package", "version", "amd64", "arm64", "extra"),
    [
        ("torch", "2.0.1", "11.7", "", ""),
        ("torch", "2.6.0", "12.4", "", ""),
        ("torch", "2.8.0", "12.8", "", ""),
        ("torch", "2.11.0", "13.0", "13.0", ""),
        ("tensorflow", "2.15.1", "12.2", "", "and-cuda"),
        ("tensorflow", "2.18.0", "12.5", "", "and-cuda"),
        ("onnxruntime-gpu", "1.23.0", "12.0", "", "cuda,cudnn"),
        ("onnxruntime-gpu", "1.29.0", "13.0", "13.0", "cuda,cudnn"),
        ("xgboost", "3.0.0", "12", "", ""),
        ("xgboost", "3.4.0", "13", "", ""),
    ],
)
def test_wheels_that_are_known_from_elsewhere(
    package: str, version: str, amd64: str, arm64: str, extra: str
) -> None:
    row = wheel(package, version)
    assert row is not None
    assert (row.amd64, row.arm64, row.extra) == (amd64, arm64, extra)


def test_rows_of_wheels_are_in_order_and_agree_with_themselves() -> None:
    rows = read_wheels()
    keys = [(row.package, numbers(row.version)) for row in rows]
    assert keys == sorted(set(keys))
    for row in rows:
        for arch in ("amd64", "arm64"):
            cuda = getattr(row, arch)
            assert cuda == "" or re.fullmatch(r"1[123](\.\d+)?", cuda), row
            assert cuda == "" or arch in row.wheels, row
            assert cuda == "" or oldest_driver(cuda), row


def test_needs_do_not_overlap_and_are_of_a_family() -> None:
    rows = images().needs
    for row in rows:
        assert oldest_driver(row.cuda)
        assert not row.before or numbers(row.since) < numbers(row.before)
    for first, second in pairwise(rows):
        if first.package == second.package:
            assert numbers(first.before) <= numbers(second.since), (first, second)


def test_a_version_falls_into_one_row() -> None:
    assert need("onnxruntime-gpu", "1.18.1").cuda == "11.8"  # type: ignore[union-attr]
    assert need("onnxruntime-gpu", "1.19.0").cuda == "12"  # type: ignore[union-attr]
    assert need("onnxruntime-gpu", "1.14.0") is None
    assert need("tensorflow", "2.15.0").cudnn == 8  # type: ignore[union-attr]
    assert need("tensorflow", "2.15.0.post1") is None


def test_a_local_version_has_the_row_of_its_public_one() -> None:
    assert wheel("torch", "2.6.0+cu118") == wheel("torch", "2.6.0")
    assert wheel("torch", "99.0") is None


def test_files_have_a_row_a_line() -> None:
    """So that a change shows what changed."""
    lines = WHEELS.read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("[", "]", len(read_wheels()) + 2)
    for line in lines[1:-1]:
        json.loads(line.rstrip(","))
    text = IMAGES.read_text(encoding="utf-8")
    assert text.count('{"release"') >= len(images().cuda)
