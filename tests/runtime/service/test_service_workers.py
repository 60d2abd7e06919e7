"""How many workers, and how much of a GPU each, as a service and a command line may say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import tiffin
from tiffin.errors import ConfigError, ServiceDefinitionError
from tiffin.runtime.manifest import RunnerSpec, WorkerRange, dump_yaml, load_yaml
from tiffin.runtime.service.workers import parse_workers, workers_words


class Double:
    def run(self, x: int) -> int:
        return 2 * x


def spec(**options: Any) -> RunnerSpec:
    made: RunnerSpec = tiffin.runner(Double, **options).spec("double")
    return made


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"min": 2, "max": 4}, WorkerRange(min=2, max=4)),
        ({"max": 4}, WorkerRange(min=1, max=4)),
        ({"min": 3, "max": 3}, WorkerRange(min=3, max=3)),
        ({"min": 1, "max": "auto"}, WorkerRange(min=1, max="auto")),
        (3, 3),
        ("auto", "auto"),
    ],
)
def test_numbers_of_workers(given: Any, kept: Any) -> None:
    assert spec(workers=given).workers == kept


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"min": 1, "maxx": 4}, "unknown key 'maxx'.*did you mean 'max'"),
        ({"min": 1}, 'has no "max"'),
        ({"min": 0, "max": 4}, "workers min=0 is out of range; use a whole number from 1"),
        ({"min": 1, "max": 2000}, "workers max=2000 is out of range"),
        ({"min": "auto", "max": 4}, "workers min='auto' is out of range"),
        ({"min": 4, "max": 2}, "max=2 is below min=4"),
        ({"min": True, "max": 2}, "min=True is out of range"),
        ([1, 4], "workers=.1, 4. is out of range"),
    ],
)
def test_what_no_number_of_workers_can_be(given: Any, said: str) -> None:
    with pytest.raises(ServiceDefinitionError, match=f"test_service_workers.py:.*{said}"):
        spec(workers=given)


@pytest.mark.parametrize("given", [0, 1, 64, 0.5, 0.01, 0.99, 2.0])
def test_gpus(given: float) -> None:
    assert spec(gpus=given).gpus == given


@pytest.mark.parametrize("given", [-1, 65, 1.5, 0.001, float("nan"), float("inf"), "1", True, None])
def test_what_no_share_of_a_gpu_can_be(given: Any) -> None:
    with pytest.raises(ServiceDefinitionError, match=r"a share of one from 0\.01 to below 1"):
        spec(gpus=given)


def test_the_manifest_keeps_a_range(tmp_path: Path) -> None:
    file = tmp_path / "runner.yaml"
    made = spec(workers={"max": 4}, gpus=0.5)
    file.write_text(dump_yaml(made))
    assert "workers:\n  max: 4\n" in file.read_text()
    assert load_yaml(file, RunnerSpec) == made
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=RunnerSpec) == made
    schema = msgspec.json.schema(RunnerSpec)["$defs"]["RunnerSpec"]["properties"]["workers"]
    assert {"$ref": "#/$defs/WorkerRange"} in schema["anyOf"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [("4", 4), ("auto", "auto"), ("1..4", WorkerRange(max=4)), ("2..auto", WorkerRange(min=2, max="auto"))],
)
def test_numbers_that_a_person_types(text: str, meant: Any) -> None:
    assert parse_workers(text) == meant
    assert workers_words(meant) == text


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.5", "many", "4..2", "..4", "1..", "auto..4", "1025", "1..2..3", "²"]
)
def test_what_nobody_can_mean(text: str) -> None:
    with pytest.raises(ConfigError, match="is no number of workers: use 1 to 1024"):
        parse_workers(text)
