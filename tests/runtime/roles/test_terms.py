"""What of a bundle has to be the same on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import AddTwo, adder_project

import tiffin
from tiffin.runtime.manifest import MethodSpec, RunnerSpec, TypeSpec
from tiffin.runtime.roles.messages import Terms
from tiffin.runtime.roles.terms import terms_of
from tiffin.runtime.supervisor.control import Target

METHODS = {"predict": MethodSpec(inputs={"x": TypeSpec(kind="array", shape=["n", 4])})}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))


def of_class(**fields: object) -> Terms:
    runner = RunnerSpec(name="forest", **{"cls": "m:C", "methods": METHODS, **fields})  # type: ignore[arg-type]
    return terms_of([runner], Target(source="", service=""), "demo").terms["forest"]


def of_model(**saved: object) -> Terms:
    tag = tiffin.models.save("adder", AddTwo(), methods=["predict"], **saved).tag  # type: ignore[arg-type]
    runner = RunnerSpec(name="forest", model=str(tag), methods=METHODS)
    return terms_of([runner], Target(source="", service=""), "demo").terms["forest"]


def test_how_a_runner_is_run_makes_no_difference() -> None:
    assert of_class() == of_class(workers=4, max_batch_size=7, gpus=1, threads=3)


def test_another_method_input_or_class_makes_one() -> None:
    other = {"predict": MethodSpec(inputs={"x": TypeSpec(kind="array", shape=["n", 5])})}
    assert of_class().methods != of_class(methods=other).methods
    assert of_class().methods != of_class(methods={**METHODS, "more": MethodSpec()}).methods
    assert of_model(classes=["a", "b"]).methods != of_model(classes=["b", "a"]).methods


def test_a_model_is_known_by_its_content_and_what_a_service_reads_of_it() -> None:
    one = of_model(metadata={"threshold": 0.5})
    again = of_model(metadata={"threshold": 0.5})
    assert one.shown != again.shown, "another version"
    assert (one.models, one.methods) == (again.models, again.methods)
    assert of_model(metadata={"threshold": 0.6}).models != one.models


def test_a_bundle_says_its_digest(tmp_path: Path) -> None:
    bundle = tiffin.build(adder_project(tmp_path / "project"), lock=False)
    target = Target(source="", service="", bundle=str(bundle.path))
    told = terms_of(bundle.info.service.runners, target, "adder:1")
    assert told.bundle == bundle.info.digest
    assert told.terms["adder"].shown == bundle.info.models[0]
