"""Calls of several callers, as one batch, through the code that a worker runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiffin.runtime.batching import rows
from tiffin.runtime.manifest import RunnerSpec
from tiffin.runtime.model.model import Model
from tiffin.runtime.supervisor.control import Target
from tiffin.runtime.wire.values import pack, unpack
from tiffin.runtime.worker.inference import load


def through_runner(model: Model, *calls: Any, method: str = "") -> list[Any]:
    """The answer of each caller, whose rows went through the model together.

    Args:
        calls: the rows of each caller, or a tuple of positional arguments.
        method: the model's default one when empty.
    """
    name = method or next(iter(model.info.methods))
    assert model.info.methods[name].batch, f"{name} takes no batches"
    arguments = [call if isinstance(call, tuple) else (call,) for call in calls]
    assert len({rows.shape_key(call) for call in arguments}) == 1, "calls that cannot be joined"
    inference = load(
        Target(source=".", service=""),
        RunnerSpec(name="model", model=str(model.tag), methods=model.info.methods),
    )
    inference.warm()
    result = inference.call(name, _sent(rows.join([_sent(call) for call in arguments])), {})
    return rows.split(_sent(result), [rows.count(call) for call in arguments])


def _sent(value: Any) -> Any:
    """What arrives of it at the other end of a socket: arrays of read-only memory."""
    description, buffers = pack(value)
    received: Sequence[memoryview] = [memoryview(bytes(buffer)) for buffer in buffers]
    return unpack(description, received)
