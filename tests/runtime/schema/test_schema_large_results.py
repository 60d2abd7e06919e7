"""Large arrays become JSON in pieces; nobody may see the seams."""

from __future__ import annotations

import threading
import time

import msgspec
import numpy as np
import pytest

from tiffin.runtime.schema.encode import PIECE_BYTES, array_bytes, json_bytes, lists


@pytest.mark.parametrize(
    "shape",
    [(50_000,), (50_000, 1), (3, 40_000), (2, 3, 20_000), (100_000, 0), (1, 60_000), (7, 4_001, 3), ()],
)
def test_pieces_are_the_whole(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).normal(size=shape)
    if array.ndim and array.size:
        array.flat[::97] = np.nan
    assert array_bytes(array) == json_bytes(lists(array))


def test_other_kinds() -> None:
    for array in (
        np.arange(40_000, dtype=np.int16).reshape(-1, 4),
        np.zeros(100_000, dtype=bool),
        np.array(["é", "b"] * 20_000),
        np.array(["2026-11-21", "NaT"] * 10_000, dtype="datetime64[D]"),
    ):
        assert array.nbytes > PIECE_BYTES
        assert msgspec.json.decode(array_bytes(array)) == lists(array)
    with pytest.raises(TypeError, match="complex"):
        array_bytes(np.zeros(40_000, dtype=complex))


def test_other_threads_run_in_between() -> None:
    array = np.random.default_rng(0).normal(size=(2_000, 784))
    ran, stop = 0, threading.Event()

    def run() -> None:
        nonlocal ran
        while not stop.is_set():
            ran += 1
            time.sleep(0.0001)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        before = ran
        array_bytes(array)
        assert ran - before >= 5
    finally:
        stop.set()
        thread.join()
