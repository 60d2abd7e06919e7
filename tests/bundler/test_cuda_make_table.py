"""The script that writes `wheels.json`, with uv's answers written out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tiffin.bundler.image import make_table
from tiffin.bundler.image.cuda_table import WheelRow
from tiffin.bundler.image.make_table import SUBJECTS, Subject

Answers = dict[tuple[str, str, bool], str]


def answer(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> list[tuple[str, str, bool]]:
    """`answers`: requirement, architecture and whether the lowest is asked for, to pins."""
    asked: list[tuple[str, str, bool]] = []

    def resolve(requirements: str, arch: str, *options: str) -> str:
        key = (requirements, arch, bool(options))
        asked.append(key)
        return answers.get(key, "")

    monkeypatch.setattr(make_table, "_resolve", resolve)
    return asked


def test_wheels_that_require_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    pins = "nvidia-cuda-runtime-cu12==12.4.127\nnvidia-cudnn-cu12==9.1.0.70\ntorch==2.6.0\n"
    lowest = ("torch==2.6.0\nnvidia-cuda-runtime-cu12", "amd64", True)
    plain: Answers = {
        ("torch==2.6.0", "amd64", False): pins,
        ("torch==2.6.0", "arm64", False): "torch==2.6.0\n",
    }
    answer(monkeypatch, {**plain, lowest: pins})
    row = make_table._row(Subject("torch", (2,)), "2.6.0")
    assert row == WheelRow(package="torch", version="2.6.0", wheels=["amd64", "arm64"], amd64="12.4", cudnn=9)


def test_an_extra_that_brings_it_and_the_oldest_that_it_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    target = "tensorflow[and-cuda]==2.21.0"
    asked = answer(
        monkeypatch,
        {
            ("tensorflow==2.21.0", "amd64", False): "tensorflow==2.21.0\n",
            ("tensorflow==2.21.0", "arm64", False): "tensorflow==2.21.0\n",
            (target, "amd64", False): "nvidia-cuda-runtime-cu12==12.9.79\nnvidia-cudnn-cu12==9.28.0.42\n",
            (f"{target}\nnvidia-cuda-runtime-cu12", "amd64", True): "nvidia-cuda-runtime-cu12==12.5.82\n",
        },
    )
    row = make_table._row(Subject("tensorflow", (2,), "and-cuda", gpus_on=("amd64",)), "2.21.0")
    assert (row.amd64, row.arm64, row.extra, row.cudnn) == ("12.5", "", "and-cuda", 9)
    assert (target, "arm64", False) not in asked


def test_an_extra_that_a_version_does_not_have_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(
        monkeypatch, {("x==1.0", "amd64", False): "x==1.0\n", ("x[cuda]==1.0", "amd64", False): "x==1.0\n"}
    )
    row = make_table._row(Subject("x", (1,), "cuda"), "1.0")
    assert (row.wheels, row.amd64, row.extra) == (["amd64"], "", "")


def test_linked_cuda_by_the_name_of_nccl(monkeypatch: pytest.MonkeyPatch) -> None:
    pins = "nvidia-nccl-cu13==2.32.3\nxgboost==3.4.1\n"
    answer(monkeypatch, {("xgboost==3.4.1", arch, False): pins for arch in ("amd64", "arm64")})
    row = make_table._row(Subject("xgboost", (1,), linked=True, gpus_on=("amd64",)), "3.4.1")
    assert (row.amd64, row.arm64, row.linked) == ("13", "", True)


def test_only_missing_rows_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = WheelRow(package="torch", version="2.6.0", wheels=["amd64"], amd64="12.4")
    monkeypatch.setattr(make_table, "WHEELS", tmp_path / "wheels.json")
    monkeypatch.setattr(make_table, "read_wheels", lambda: [known])
    monkeypatch.setattr(make_table, "SUBJECTS", (Subject("torch", (2,)),))
    monkeypatch.setattr(make_table, "_versions", lambda _: ["2.6.0", "2.10.0", "2.9.0"])
    made: list[str] = []

    def row(subject: Subject, version: str) -> WheelRow:
        made.append(version)
        return WheelRow(package=subject.package, version=version, wheels=["amd64"], amd64="12.8")

    monkeypatch.setattr(make_table, "_row", row)
    make_table.main()
    assert made == ["2.10.0", "2.9.0"]
    written = msgspec.json.decode((tmp_path / "wheels.json").read_bytes(), type=list[WheelRow])
    assert [found.version for found in written] == ["2.6.0", "2.9.0", "2.10.0"]
    assert written[0] == known


def test_every_subject_has_rows() -> None:
    from tiffin.bundler.image.cuda_table import read_wheels

    assert {row.package for row in read_wheels()} == {subject.package for subject in SUBJECTS}
