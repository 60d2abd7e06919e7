"""Ragged rows: what goes together, what the method sees, and that everybody gets their own rows back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import InvalidInputError, ResultMismatchError, UsageError
from tiffin.runtime.batching.padding import Padding, with_lengths
from tiffin.runtime.manifest import MethodSpec, PaddingSpec, TypeSpec

torch = pytest.importorskip("torch")


def padding(hint: str = "", **fields: Any) -> Padding:
    fields = {"value": 0, "arguments": ["tokens", "mask"], "buckets": [4, 8], **fields}
    inputs = {"tokens": TypeSpec(kind="array", dtype=hint)} if hint else {}
    return Padding("toy.f", MethodSpec(padding=PaddingSpec(**fields), inputs=inputs))


def number_rows(lengths: list[int], start: int, axis: int) -> list[np.ndarray]:
    """Rows whose elements tell row and place; the padded axis is `axis` of the batch."""
    rows = []
    for at, length in enumerate(lengths):
        shape = [2] * (axis - 1) + [length, 3]
        rows.append(1.0 + start + at + np.arange(np.prod(shape), dtype=float).reshape(shape) / 1000)
    return rows


calls = st.lists(
    st.tuples(st.sampled_from(["list", "array", "tensor"]), st.lists(st.integers(0, 8), max_size=4)),
    max_size=6,
)


@given(calls, st.integers(1, 3))
def test_what_is_padded_comes_back_the_same(given_calls: list[tuple[str, list[int]]], axis: int) -> None:
    """Calls of one key go together; each gets its own rows at their own lengths, in the form that it gave."""
    pad = padding(value=-7, axis=axis, lengths=True, unpad=True)
    lanes: dict[Any, list[tuple[list[np.ndarray], Any]]] = {}
    for number, (form, any_lengths) in enumerate(given_calls):
        lengths = any_lengths[:1] * len(any_lengths) if form == "array" else any_lengths
        own = number_rows(lengths, 100 * number, axis)
        value: Any = own
        if form == "array":
            value = np.array(own).reshape(len(own), *number_rows(lengths[:1] or [3], 0, axis)[0].shape)
        elif form == "tensor":
            value = [torch.from_numpy(row) for row in own]
        ragged = pad.take([value], {})
        lanes.setdefault(ragged.key, []).append((own, ragged))
    for lane in lanes.values():
        raggeds = [ragged for _, ragged in lane]
        batch, lengths = pad.join(raggeds)
        width = batch.shape[axis]
        assert width in (4, 8)
        assert lengths.dtype == np.int64
        assert lengths.tolist() == [row.shape[axis - 1] for own, _ in lane for row in own]
        filled = np.moveaxis(np.asarray(batch), axis, 1)
        for row, length in zip(filled, lengths, strict=True):
            assert (row[length:] == -7).all()
            assert (row[:length] != -7).all()
        results = pad.split({"twice": batch * 2, "same": (batch,)}, raggeds)
        for (own, ragged), result in zip(lane, results, strict=True):
            for back in (
                result["twice"] / 2 if not ragged.listed else [r / 2 for r in result["twice"]],
                result["same"][0],
            ):
                assert len(back) == len(own)
                assert isinstance(back, list) == ragged.listed
                for mine, theirs in zip(own, back, strict=True):
                    np.testing.assert_array_equal(mine, np.asarray(theirs))


@given(
    st.lists(st.integers(0, 8), min_size=1, max_size=5), st.lists(st.integers(0, 8), min_size=1, max_size=5)
)
def test_only_calls_of_one_bucket_go_together(one: list[int], other: list[int]) -> None:
    pad = padding()
    first, second = (pad.take([[np.zeros(n) for n in lengths]], {}) for lengths in (one, other))
    assert (first.key == second.key) == ((max(one) > 4) == (max(other) > 4))
    assert first.width == (8 if max(one) > 4 else 4)


def test_buckets_without_end_double() -> None:
    pad = padding(buckets=[])
    assert [pad.width(n) for n in (0, 1, 16, 17, 32, 33, 1000)] == [16, 16, 16, 32, 32, 64, 1024]


def test_longer_than_the_last_bucket_is_the_callers_mistake() -> None:
    with pytest.raises(InvalidInputError, match=r"a row of length 9 is longer than toy\.f takes: 8 at most"):
        padding().take([np.zeros((2, 9))], {})


def test_a_lone_array_that_fills_its_bucket_is_not_copied() -> None:
    pad, array = padding(), np.ones((2, 8))
    assert pad.join([pad.take([array], {})])[0] is array


def test_no_rows_are_rows_too() -> None:
    pad = padding(lengths=True, unpad=True)
    for empty in ([], np.empty((0, 3)), np.empty((0, 500))[:, :8]):
        ragged = pad.take([empty], {})
        batch, lengths = pad.join([ragged])
        assert (batch.shape[0], batch.shape[1], lengths.tolist()) == (0, ragged.width, [])
        assert len(pad.split(batch, [ragged])[0]) == 0


def test_lists_of_numbers_take_the_dtype_of_the_hint() -> None:
    pad = padding("int32")
    ragged = pad.take([[[1, 2, 3], [], [4]]], {})
    (batch,) = pad.join([ragged])
    assert batch.dtype == np.int32
    assert batch.tolist() == [[1, 2, 3, 0], [0, 0, 0, 0], [4, 0, 0, 0]]
    assert ragged.key == pad.take([np.zeros((1, 2), np.int32)], {}).key
    for wrong in ([[1.5]], [[2**40]], [["a"]]):
        with pytest.raises(InvalidInputError, match=r"rows of tokens of toy\.f are no arrays of numbers"):
            pad.take([wrong], {})


def test_lists_without_a_hint_take_what_holds_all() -> None:
    pad = padding()
    assert pad.join([pad.take([[[1, 2], []]], {})])[0].dtype == np.int64
    assert pad.join([pad.take([[[], []]], {})])[0].dtype == np.int64
    assert pad.take([[[]]], {}).key == pad.take([[]], {}).key == pad.take([[[1]]], {}).key
    assert pad.join([pad.take([[[1, 2], [0.5]]], {})])[0].dtype == np.float64
    ragged = np.empty(2, object)
    ragged[:] = [np.ones(1, np.int8), np.ones(2, np.int8)]
    assert pad.join([pad.take([ragged], {})])[0].tolist() == [[1, 0, 0, 0], [1, 1, 0, 0]]


def test_only_the_named_arguments_are_padded() -> None:
    pad = padding(value=None, values={"mask": True})
    ragged = pad.take([np.ones((2, 3)), [[False], [False, True]]], {})
    tokens, mask = pad.join([ragged, ragged])
    assert tokens.shape == (4, 3)
    assert mask[:2].tolist() == [[False, True, True, True], [False, True, True, True]]
    with pytest.raises(
        UsageError, match=r"mask is filled up along axis 1, which one of shape \(2,\) does not have"
    ):
        pad.take([np.ones((2, 3)), np.ones(2)], {})


def test_arguments_without_the_axis_go_as_they_are() -> None:
    pad = padding()
    ragged = pad.take([[[1], [2, 3]], ["a", "b"]], {})
    assert pad.join([ragged, ragged])[1] == ["a", "b", "a", "b"]
    assert ragged.key != pad.take([[[1], [2, 3]], np.ones(2)], {}).key
    with pytest.raises(UsageError, match=r"pads axis 1 and no argument has it"):
        pad.take([["a", "b"]], {})


def test_the_arguments_of_a_row_are_equally_long() -> None:
    with pytest.raises(InvalidInputError, match=r"row 1 of mask has length 1 and that of tokens has 2"):
        padding().take([[[1], [2, 3]], [[1], [1]]], {})


def test_rows_differ_in_that_axis_only() -> None:
    with pytest.raises(InvalidInputError, match=r"row 1 of tokens has shape \(2, 4\) and row 0 \(2, 3\)"):
        padding().take([[np.zeros((2, 3)), np.zeros((2, 4))]], {})


@pytest.mark.parametrize(
    ("fill", "dtype"),
    [
        (0.5, "int64"),
        (-1, "uint8"),
        (300, "int8"),
        (2, "bool"),
        (float("nan"), "int32"),
        (1e9, "float16"),
        (10**30, "int64"),
    ],
)
def test_what_fills_up_must_fit(fill: float, dtype: str) -> None:
    with pytest.raises(
        UsageError, match=rf"pad={fill!r} does not fit into tokens of {dtype}".replace("+", r"\+")
    ):
        padding(value=fill).take([np.zeros((1, 2), dtype)], {})


@pytest.mark.parametrize(
    ("fill", "dtype"),
    [
        (0.1, "float32"),
        (float("nan"), "float16"),
        (float("-inf"), "float32"),
        (-1, "int8"),
        (0, "bool"),
        (1, "complex64"),
    ],
)
def test_what_fits_fills_up(fill: float, dtype: str) -> None:
    pad = padding(value=fill)
    (batch,) = pad.join([pad.take([np.ones((1, 2), dtype)], {})])
    assert batch.dtype == dtype
    np.testing.assert_array_equal(batch[0, 2:], np.array([fill] * 2).astype(dtype))


def test_text_is_not_padded() -> None:
    with pytest.raises(UsageError, match="only numbers can be padded"):
        padding().take([[["a"], ["b", "c"]]], {})


def test_lengths_are_not_the_callers_to_give() -> None:
    with pytest.raises(UsageError, match=r"leave lengths= out of the call"):
        padding(lengths=True).take([np.ones((1, 2))], {"lengths": [2]})
    assert with_lengths(lambda x, *, lengths, k: (x, lengths, k))(1, 2, k=3) == (1, 2, 3)


class Out(NamedTuple):
    scores: Any
    label: Any


def test_unpad_names_what_is_padded() -> None:
    """A label of eight classes is not cut, though eight is also the length of a bucket."""
    pad = padding(unpad=["scores"])
    ragged = pad.take([np.ones((2, 5))], {})
    label = np.ones((2, 8))
    for result in ({"scores": np.ones((2, 8)), "label": label}, Out(np.ones((2, 8)), label)):
        (back,) = pad.split(result, [ragged])
        scores, whole = (back["scores"], back["label"]) if isinstance(back, dict) else back
        assert (scores.shape, whole.shape) == ((2, 5), (2, 8))
    (by_place,) = padding(unpad=[0]).split((np.ones((2, 8)), label), [ragged])
    assert (by_place[0].shape, by_place[1].shape) == ((2, 5), (2, 8))


def test_unpad_cuts_lists_of_lists() -> None:
    pad = padding(unpad=True)
    ragged = pad.take([[[1, 2], [3]]], {})
    assert pad.split([[1, 2, 9, 9], [3, 9, 9, 9]], [ragged]) == [[[1, 2], [3]]]


@pytest.mark.parametrize(
    ("unpad", "result", "words"),
    [
        (True, np.ones((2, 3)), r"as long as the padded rows, 8, and result has shape \(2, 3\)"),
        (True, {"a": np.ones(2)}, r"result\['a'\] has shape \(2,\)"),
        (True, [[1], [2]], r"result has a row that is not"),
        (["a"], {"b": np.ones(2)}, r"unpad names 'a' and the result has 'b'"),
        (["a"], np.ones((2, 8)), r"unpad names 'a' and the result has no parts: use unpad=True"),
        ([2], (np.ones((2, 8)),), r"unpad names 2 and the result has 0"),
        (False, np.ones((3, 8)), r"a batch of 2 rows came back as 3 rows"),
    ],
)
def test_a_result_that_cannot_be_cut_is_refused(unpad: Any, result: Any, words: str) -> None:
    pad = padding(unpad=unpad)
    with pytest.raises(ResultMismatchError, match=words):
        pad.split(result, [pad.take([np.ones((2, 5))], {})])
