"""Every light template from `bundle init` to an answer; onnx and transformers are in tests/frameworks."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from fresh_project import answer_of

from tiffin.bundler.start.templates import TEMPLATES

HEAVY = {"onnx", "transformers"}
LIGHT = sorted(TEMPLATES.keys() - HEAVY)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[Any]]:
    """Two at a time: each of them waits for processes most of the time."""
    folder = tmp_path_factory.mktemp("templates")
    with ThreadPoolExecutor(2) as pool:
        return {name: pool.submit(answer_of, name, folder) for name in LIGHT}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", LIGHT)
def test_a_template_from_init_to_an_answer(name: str, answers: dict[str, Future[Any]]) -> None:
    answer = answers[name].result()
    if name == "sklearn":
        assert answer == ["setosa"]
    elif name == "custom":
        assert answer == [False, True]
    elif name == "torch":
        assert [each["label"] for each in answer] == ["inside", "outside"]
    else:
        assert answer[0]["label"] in {"benign", "malignant"}
        assert 0.5 <= answer[0]["probability"] <= 1
