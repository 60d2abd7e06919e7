from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import InferenceError
from tiffin.runtime.protocols import byte_strings
from tiffin.runtime.protocols.datatypes import BYTES
from tiffin.runtime.protocols.oip.classification import classified
from tiffin.runtime.protocols.tensor import Tensor


def scores(array: Any, datatype: str = "FP32") -> Tensor:
    found = np.asarray(array)
    return Tensor("scores", datatype, found.shape, found)


def texts(tensor: Tensor) -> list[str]:
    return [element.decode() for element in tensor.array.ravel().tolist()]


def test_each_row_has_its_best_classes() -> None:
    found = classified(scores(np.array([[0.1, 2.0, 0.5], [3.0, 1.0, 2.0]], np.float32)), 2, ())
    assert (found.datatype, found.shape) == (BYTES, (2, 2))
    assert texts(found) == ["2.000000:1", "0.500000:2", "3.000000:0", "2.000000:2"]


def test_words_of_the_label_file_follow() -> None:
    found = classified(scores(np.array([0.25, 0.75])), 5, ("apple", "pear"))
    assert (found.shape, texts(found)) == ((2,), ["0.750000:1:pear", "0.250000:0:apple"])


def test_labels_of_another_number_are_left_out() -> None:
    assert texts(classified(scores(np.array([1.0, 2.0])), 1, ("one",))) == ["2.000000:1"]


def test_integers_are_written_as_such() -> None:
    assert texts(classified(scores(np.array([1, 255], np.uint8), "UINT8"), 2, ())) == ["255:1", "1:0"]


def test_bfloat16_is_widened() -> None:
    bits = np.array([0x3F80, 0x4000], np.uint16)  # 1 and 2
    assert texts(classified(scores(bits, "BF16"), 1, ())) == ["2.000000:1"]


def test_nan_comes_last() -> None:
    assert texts(classified(scores(np.array([np.nan, 1.0])), 1, ())) == ["1.000000:1"]


def test_empty_scores() -> None:
    assert classified(scores(np.empty((0, 3), np.float32)), 2, ()).shape == (0, 2)
    assert classified(scores(np.empty((2, 0), np.float32)), 2, ()).shape == (2, 0)


def test_texts_have_no_order() -> None:
    array = byte_strings.as_array([b"a"], (1,))
    with pytest.raises(InferenceError, match="only numbers can be classified"):
        classified(Tensor("scores", BYTES, (1,), array), 1, ())


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.integers(1, 14), st.booleans())
def test_highest_first_and_of_equal_ones_the_lower_index(values: list[int], best: int, floats: bool) -> None:
    array = np.array(values, np.float64 if floats else np.int64)
    found = texts(classified(scores(array), best, ()))
    places = [int(text.split(":")[1]) for text in found]
    assert places == sorted(range(len(values)), key=lambda at: (-values[at], at))[:best]
