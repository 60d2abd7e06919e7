"""`models.save(methods=…)` takes what `@tiffin.batch` takes of weights, padding and sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiffin
from tiffin.errors import ModelError, UsageError
from tiffin.runtime.manifest import PaddingSpec


class Doubler:
    def predict(self, tokens: np.ndarray) -> np.ndarray:
        assert tokens.shape in ((1, 4), (1, 8), (4, 4), (4, 8))
        return tokens * 2


class Marked:
    @tiffin.batch(cost=len, max_cost=3)
    def predict(self, tokens: np.ndarray) -> np.ndarray:
        return tokens


RAGGED = {"pad": 0, "buckets": (4, 8), "unpad": True, "cost": "length", "max_cost": 99, "sizes": (1, 4)}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))


def save(**settings: Any) -> Any:
    example = np.array([[1, 2, 3, 4]], dtype=np.int32)
    return tiffin.models.save("doubler", Doubler(), example=example, methods={"predict": settings})


def test_a_saved_model_is_padded() -> None:
    spec = save(**RAGGED).info.methods["predict"]
    assert (spec.cost, spec.max_cost, spec.sizes, spec.max_batch_size) == ("length", 99, [1, 4], 4)
    assert spec.padding == PaddingSpec(value=0, arguments=["tokens"], buckets=[4, 8], unpad=True)
    # The example had four tokens; nobody else need have.
    assert spec.inputs["tokens"].shape == ["n", "length"]
    assert spec.output.shape == ["n", "length"]

    @tiffin.service
    class Shop:
        doubler = tiffin.runner("doubler:latest")

        @tiffin.api
        def double(self, tokens: list[int]) -> list[int]:
            doubled: list[int] = self.doubler.predict.one(tokens).tolist()
            return doubled

    assert Shop().double([1, 2, 3, 4, 5]) == [2, 4, 6, 8, 10]
    ragged = Shop().doubler.predict([[1], [2, 3]])
    assert [row.tolist() for row in ragged] == [[2], [4, 6]]
    assert ragged[0].dtype == np.int32


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({**RAGGED, "batch": False}, r"methods\['predict'\] takes no batches"),
        ({"cost": len, "max_cost": 3}, r"a function cannot be saved with a model"),
        ({"pad": {"token": 0}}, r"pad= names 'token'; did you mean 'tokens'\?"),
        ({"buckets": (4, 8)}, r"methods\['predict'\]: buckets=\(4, 8\) needs pad="),
        ({"size": 3}, r"methods\['predict'\] has 'size'; it takes .*sizes"),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        save(**settings)


def test_a_marked_method_with_a_function_cannot_be_saved() -> None:
    with pytest.raises(ModelError, match=r"predict weighs its calls with a function"):
        tiffin.models.save("marked", Marked(), methods=["predict"])
