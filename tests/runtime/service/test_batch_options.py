"""What `@tiffin.batch` says of weights, padding and sizes: written down, or refused at import."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32, Int32

import tiffin
from tiffin.errors import InferenceError, InvalidInputError, ServiceDefinitionError
from tiffin.runtime.manifest import MethodSpec, PaddingSpec, dump_yaml
from tiffin.runtime.service.batch import BatchMark
from tiffin.runtime.service.methods import cost_functions, method_specs

HERE = r"\S*test_batch_options\.py:\d+"


def tokens_of(tokens: Any, mask: Any = None, *, more: int = 0) -> list[int]:
    return [len(row) + more for row in tokens]


class Tagger:
    @tiffin.batch(
        pad={"tokens": -1, "mask": False},
        buckets=(4, 8),
        unpad=("logits",),
        cost=tokens_of,
        max_cost=100,
        sizes=[1, 4],
        max_latency_ms=5,
    )
    def tag(self, tokens: Any, mask: Any, *, lengths: Any, more: int = 0) -> Any:
        assert tokens.shape[1] in (4, 8)
        assert len(tokens) in (1, 4)
        assert mask.dtype == bool
        return {"logits": np.stack([tokens, mask], -1), "length": lengths}

    @tiffin.batch(pad=0.5, axis=2, unpad=True)
    def smooth(self, waves: Any) -> Any:
        return waves

    @tiffin.batch(cost="length", max_cost=10)
    def shout(self, texts: list[str]) -> list[str]:
        return [text.upper() for text in texts]

    @tiffin.batch(cost=lambda texts: 1 // 0, max_cost=10)
    def broken(self, texts: list[str]) -> list[str]:
        return texts


@tiffin.service
class Words:
    tagger = tiffin.runner(Tagger)

    @tiffin.api
    def shout(self, text: str) -> str:
        return str(self.tagger.shout.one(text))


def test_the_manifest_says_it_all() -> None:
    specs = method_specs(Tagger)
    tag = specs["tag"]
    assert list(tag.inputs) == ["tokens", "mask", "more"]
    assert tag == MethodSpec(
        inputs=tag.inputs,
        output=tag.output,
        max_batch_size=4,
        max_latency_ms=5,
        cost=f"{__name__}:tokens_of",
        max_cost=100,
        sizes=[1, 4],
        padding=PaddingSpec(
            values={"tokens": -1, "mask": False},
            arguments=["tokens", "mask"],
            buckets=[4, 8],
            unpad=["logits"],
            lengths=True,
        ),
    )
    assert specs["smooth"].padding == PaddingSpec(value=0.5, arguments=["waves"], axis=2, unpad=True)
    assert specs["shout"].cost == "length"
    assert cost_functions(Tagger)["tag"] is tokens_of
    assert list(cost_functions(Tagger)) == ["tag", "broken"]
    assert cost_functions(None) == {}
    assert "mask: false" in dump_yaml(specs["tag"])


def test_lengths_needs_no_hint() -> None:
    class Hinted:
        @tiffin.batch(pad=0)
        def tag(self, tokens: Int32[np.ndarray, "n t"], *, lengths) -> Float32[np.ndarray, "n"]:  # type: ignore[no-untyped-def]
            return tokens, lengths

    spec = method_specs(Hinted)["tag"]
    assert {name: (kind.dtype, kind.shape) for name, kind in spec.inputs.items()} == {
        "tokens": ("int32", ["n", "t"])
    }
    assert spec.output is not None


def test_a_mark_without_options_says_nothing() -> None:
    assert BatchMark().describe(MethodSpec(batch=False)) == MethodSpec()


def test_the_runner_of_a_unit_test_pads_as_a_server_does() -> None:
    tagger = Words().tagger
    tags = tagger.tag([[5, 6], [7]], [[True, True], [False]])
    assert [row.tolist() for row in tags["logits"]] == [[[5, 1], [6, 1]], [[7, 0]]]
    assert tags["length"].tolist() == [2, 1]
    one = asyncio.run(awaited(tagger))
    assert one["logits"].tolist() == [[9, 1]] * 5
    assert tagger.smooth(np.ones((1, 2, 3))).shape == (1, 2, 3)
    assert Words().shout("a") == "A"
    with pytest.raises(InvalidInputError, match=r"a row of length 9 is longer than tagger\.tag takes"):
        tagger.tag.one(np.arange(9), np.ones(9, bool))
    with pytest.raises(InferenceError, match=r"cost= of tagger\.broken failed: ZeroDivisionError"):
        tagger.broken(["a"])


async def awaited(tagger: Any) -> Any:
    return await tagger.tag.one(np.full(5, 9), np.ones(5, bool))


def method(self: Any, tokens: Any, mask: Any = None, *, k: int = 1) -> Any: ...
def of_text(self: Any, texts: list[str]) -> Any: ...
def lengths_first(self: Any, lengths: Any, tokens: Any) -> Any: ...
async def later(tokens: Any) -> int:
    return 1


@pytest.mark.parametrize(
    ("options", "on", "words"),
    [
        ({"padd": 0}, method, r"unknown option 'padd'; did you mean 'pad'\?"),
        ({"pad": "x"}, method, r"pad='x' must be the number that fills up short rows"),
        ({"pad": {}}, method, r"pad=\{\} must be the number"),
        ({"pad": {"tokens": None}}, method, r"pad=\{'tokens': None\} must be the name of a parameter"),
        ({"pad": {"token": 0}}, method, r"pad= names 'token'; did you mean 'tokens'\? \(rows come in as"),
        ({"pad": {"k": 0}}, method, r"pad= names 'k' \(rows come in as tokens, mask\)"),
        ({"pad": 0}, of_text, r"pad= fills up rows of numbers and texts is text"),
        ({"pad": 0}, lengths_first, r"lengths is filled in by name; put it last"),
        ({"pad": 0, "buckets": (16, 16)}, method, r"buckets=\(16, 16\) must increase"),
        ({"pad": 0, "buckets": (32, 16)}, method, r"buckets=\(32, 16\) must increase"),
        ({"pad": 0, "buckets": ()}, method, r"buckets=\(\) must increase"),
        ({"pad": 0, "buckets": "pow3"}, method, r"buckets='pow3': give whole numbers, .* or 'pow2'"),
        ({"pad": 0, "buckets": (0, 16)}, method, r"buckets=0 is out of range"),
        ({"pad": 0, "buckets": (1.5,)}, method, r"buckets=1\.5 is out of range"),
        ({"pad": 0, "axis": 0}, method, r"axis=0 is out of range"),
        ({"pad": 0, "unpad": 1.5}, method, r"unpad=1\.5 says what of the result"),
        ({"pad": 0, "unpad": ()}, method, r"unpad=\(\) says what of the result"),
        ({"buckets": (16,)}, method, r"buckets=\(16,\) needs pad="),
        ({"unpad": True}, method, r"unpad=True needs pad="),
        ({"axis": 1}, method, r"axis=1 needs pad="),
        (
            {"cost": "tokens", "max_cost": 9},
            method,
            r"cost='tokens' is not known; use 'length', or a function",
        ),
        ({"cost": 3, "max_cost": 9}, method, r"cost=3 is no function"),
        ({"cost": later, "max_cost": 9}, method, r"cost= is async"),
        ({"cost": lambda: 1, "max_cost": 9}, method, r"cost= is called with the rows, .* takes \(\)"),
        ({"cost": "length"}, method, r"cost= needs max_cost="),
        ({"max_cost": 9}, method, r"max_cost=9 limits what cost= counts"),
        ({"cost": "length", "max_cost": 0}, method, r"max_cost=0 is out of range"),
        ({"sizes": (8, 4)}, method, r"sizes=\(8, 4\) must increase"),
        ({"sizes": 8}, method, r"sizes=8: give whole numbers"),
        ({"sizes": (1, 8), "max_size": 9}, method, r"max_size=9 is more than the largest of sizes=\(1, 8\)"),
    ],
)
def test_what_cannot_work_is_refused_at_import(options: dict[str, Any], on: Any, words: str) -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: @tiffin\.batch.*: .*{words}"):
        tiffin.batch(**options)(on)


def test_what_works_is_taken() -> None:
    for options in (
        {"pad": {"tokens": 0}, "buckets": "pow2"},
        {"pad": float("nan"), "buckets": range(16, 65, 16)},
        {"cost": lambda *rows: 1, "max_cost": 9},
        {"cost": staticmethod(tokens_of), "max_cost": 9},
        {"sizes": (1, 8), "max_size": 5},
        {"pad": 0, "unpad": 0},
    ):
        tiffin.batch(**options)(lambda self, tokens: tokens)  # type: ignore[call-overload]
