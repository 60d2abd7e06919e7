"""Calls of several callers, as one batch, through the code that a worker runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tiffin
from tiffin.errors import InvalidInputError
from tiffin.runtime.batching import rows
from tiffin.runtime.model.model import Model
from tiffin.runtime.model.tables import table_fit
from tiffin.runtime.supervisor.control import Target
from tiffin.runtime.wire.values import pack, unpack
from tiffin.runtime.worker.inference import Inference, load


def through_runner(model: Model, *calls: Any, method: str = "", folder: Path = Path()) -> list[Any]:
    """The answer of each caller, whose rows went through the model together.

    Fails when they make no batch, and when a call of no rows is neither answered with none nor refused.

    Args:
        calls: the rows of each caller, or a tuple of positional arguments.
        method: the model's default one when empty.
        folder: where its code can be imported from.
    """
    name = method or next(iter(model.info.methods))
    spec = tiffin.runner(str(model.tag)).spec("tested")
    assert spec.methods[name].batch, f"{name} takes no batches"
    fit = table_fit(spec.methods[name]) or (lambda args: args)
    arguments = [fit(call if isinstance(call, tuple) else (call,)) for call in calls]
    assert len({rows.shape_key(call) for call in arguments}) == 1, [rows.shape_key(one) for one in arguments]
    inference = load(Target(source=str(folder), service=""), spec)
    inference.warm()
    _without_rows(inference, name, arguments[0])
    result = inference.call(name, _sent(rows.join([_sent(call) for call in arguments])), {})
    return rows.split(_sent(result), [rows.count(call) for call in arguments])


def _without_rows(inference: Inference, method: str, call: tuple[Any, ...]) -> None:
    none = tuple(rows.split(value, [0, rows.count(call)])[0] for value in call)
    try:
        answer = inference.call(method, _sent(none), {})
    except InvalidInputError as error:
        assert "there are no rows" in str(error), error
    else:
        rows.split(_sent(answer), [0])


def _sent(value: Any) -> Any:
    """What arrives of it at the other end of a socket: arrays of read-only memory."""
    description, buffers = pack(value)
    received: Sequence[memoryview] = [memoryview(bytes(buffer)) for buffer in buffers]
    return unpack(description, received)
