"""Runs the calls that were recorded with a model again, and compares."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from .compare import BY_TYPE, Tolerance, differences
from .model import Model
from .recorded import read_examples


class Replayed(msgspec.Struct, kw_only=True):
    """What came of one recorded call."""

    model: str
    """Its tag."""
    method: str
    differences: list[tuple[str, str]] = []
    """Where and how the output is another than the recorded one; empty: it is the same."""
    error: str = ""
    """What the call raised."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.differences and not self.error


def replay(folder: Path, tolerance: Tolerance = BY_TYPE) -> list[Replayed]:
    """Loads a model onto the CPU and makes every call that was recorded with it; none is an empty list.

    Args:
        folder: of the model.
        tolerance: of floating-point numbers.

    Raises:
        IntegrityError: files of the model are not what was saved.
        ModelError: it cannot be loaded.
    """
    model = Model.open(folder)
    examples = read_examples(folder, model.info)
    if not examples:
        return []
    framework = model.framework
    loaded = model.load(device="cpu")
    results = []
    for method, call in examples.items():
        found = Replayed(model=str(model.tag), method=method)
        began = time.perf_counter()
        try:
            output = framework.call(loaded, method, *call.args, **call.kwargs)
        except Exception as error:  # noqa: BLE001 - the model's own code: whatever it raises is the answer
            found.error = f"{type(error).__name__}: {error}"
        else:
            found.differences = [
                (path, what) for path, what in differences(call.output, output, tolerance=tolerance)
            ]
        found.seconds = round(time.perf_counter() - began, 4)
        results.append(found)
    return results
