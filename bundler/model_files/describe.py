"""The signature of a model that came without an example: from its file, or from what the user says."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...errors import ModelError, UsageError
from ...runtime.manifest import MethodSpec, TypeSpec
from ...runtime.model.framework import Framework
from ..model_facts import describe
from ..recording import Recording
from .inputs import parse_inputs
from .signature import forward_names, own_example, said_example

log = logging.getLogger(__name__)


def describe_model(
    framework: Framework,
    obj: Any,
    methods: Iterable[str] | Mapping[str, Mapping[str, Any]] | None,
    *,
    example: Any,
    inputs: Sequence[str],
    from_file: bool,
    recording: Recording | None,
) -> dict[str, MethodSpec]:
    """The signature of each method.

    Args:
        framework: of the model.
        obj: the model.
        methods: as in `models.save`.
        example: as in `models.save`; None: zeros that look like `inputs`.
        inputs: `x:float32[n,4]` …; with an example they must not be given.
        from_file: without either, zeros that look like what the model was trained on, where it tells.
        recording: keeps the calls.

    Raises:
        ModelError: the model does not take the example, or the inputs that were said.
        UsageError: `methods` or `inputs` is not what it should be.
    """
    said = parse_inputs(inputs)
    if said and example is not None:
        raise UsageError("inputs= and example= both say what goes in: give one of them")
    if said:
        specs = _tried(framework, obj, methods, said, recording)
        for spec in specs.values():
            if len(spec.inputs) in {0, len(said)}:
                spec.inputs = dict(said)
        return specs
    if example is not None or not from_file:
        return describe(framework, obj, methods, example, recording)
    own = own_example(obj)
    if own is not None:
        try:
            return describe(framework, obj, methods, own, recording)
        except ModelError as error:  # zeros are only a guess: a method may want words, or a kernel no zeros
            log.info("zeros tell nothing of its signature: %s", error)
    specs = describe(framework, obj, methods, None)
    for spec in specs.values():
        if not spec.inputs:
            spec.inputs = {name: TypeSpec(kind="array", dtype="float32") for name in forward_names(obj)}
    return specs


def _tried(
    framework: Framework,
    obj: Any,
    methods: Iterable[str] | Mapping[str, Mapping[str, Any]] | None,
    said: Mapping[str, TypeSpec],
    recording: Recording | None,
) -> dict[str, MethodSpec]:
    example = said_example(said)
    try:
        return describe(framework, obj, methods, example, recording if example is not None else None)
    except ModelError as error:
        reason = str(error.__cause__ or error).strip().splitlines()  # TorchScript says it after a traceback
        shown = ", ".join(f"{name}:{spec.dtype}{_shape(spec)}" for name, spec in said.items())
        raise ModelError(
            f"the model does not take zeros that look like the inputs that were given ({shown}): {reason[-1]}"
        ) from error


def _shape(spec: TypeSpec) -> str:
    """As it is written behind `--input`."""
    return "" if spec.shape is None else f"[{','.join(map(str, spec.shape))}]"
