"""What is written about a model beside its files, checked first: methods, classes, labels, metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from ..errors import ModelError, UsageError
from ..runtime.manifest import MethodSpec, PaddingSpec
from ..runtime.model.example import Example
from ..runtime.model.framework import Framework
from ..runtime.service.batch_options import check_cost, check_names, increasing, padding
from .recording import Recording

_PLAIN_KEYS = ("batch", "max_batch_size", "max_latency_ms")
_RAGGED_KEYS = ("cost", "max_cost", "pad", "buckets", "axis", "unpad", "sizes")
"""The same as of `@tiffin.batch`."""
_METHOD_KEYS = ("example", *_PLAIN_KEYS, *_RAGGED_KEYS)
_MAX_DEPTH = 50
"""Far below what a manifest may be nested."""


def describe(
    framework: Framework,
    obj: Any,
    methods: Iterable[str] | Mapping[str, Mapping[str, Any]] | None,
    example: Any,
    recording: Recording | None = None,
) -> dict[str, MethodSpec]:
    """The signature of each method, by running the example; `recording` keeps what came of it.

    Raises:
        ModelError: the object has no such method, or fails on the example.
        UsageError: `methods` is not what it should be.
    """
    wanted = _wanted(framework, obj, methods)
    specs = {}
    for name, settings in wanted.items():
        given = settings.get("example", example)
        tried = None if given is None else Example.of(given)
        watched = framework if recording is None or tried is None else recording.watch(framework, name)
        spec = _describe_one(watched, obj, name, tried)
        if recording is not None and tried is not None:
            recording.keep(name, tried, spec)
        for key in _PLAIN_KEYS:
            if key in settings:
                setattr(spec, key, settings[key])
        if any(key in settings for key in _RAGGED_KEYS):
            _make_ragged(f"methods[{name!r}]", spec, settings)
        specs[name] = spec
    return specs


def label_file(obj: Any, classes: Sequence[Any] | None) -> list[str]:
    """The user's words, else the classes that a classifier was trained with when those are words."""
    if classes is None:
        known: Any = getattr(obj, "classes_", None)
        trained_on_words = getattr(getattr(known, "dtype", None), "kind", "") in {"U", "O", "T"}
        return [str(word) for word in known] if trained_on_words else []
    if isinstance(classes, str):
        raise UsageError(f"classes={classes!r} is one word; give a list with a word for each class")
    words = [str(word) for word in classes]
    if twice := sorted({word for word in words if words.count(word) > 1}):
        raise ModelError(f"classes= has {twice[0]!r} twice; each class needs its own word")
    return words


def check_classes(obj: Any, words: Sequence[str], specs: Mapping[str, MethodSpec]) -> None:
    """Compares the label file with what the model is known to give, and writes its length into the signature.

    Raises:
        ModelError: says both numbers.
    """
    if not words:
        return
    outputs = {
        name: spec.output
        for name, spec in specs.items()
        if spec.output is not None and (name == "__call__" or name.startswith("predict"))
    }
    for name, output in outputs.items():
        if output.classes not in {None, len(words)}:
            known = getattr(obj, "classes_", None)
            which = f": {', '.join(map(str, known[:10]))}" if known is not None else ""
            raise ModelError(
                f"classes= has {len(words)} word{'s'[: len(words) > 1]} ({_shown(words)}), "
                f"but the model has {output.classes} classes{which}"
            )
        axes = (output.shape or [])[1:]
        scores = output.dtype.startswith(("float", "bfloat")) and axes
        binary = axes == [1] and len(words) == 2
        if output.classes is None and scores and len(words) not in axes and not binary:
            raise ModelError(
                f"classes= has {len(words)} word{'s'[: len(words) > 1]} ({_shown(words)}), "
                f"but {name} gives an array of shape {output.shape}"
            )
    for output in outputs.values():
        if output.kind in {"array", "tensor"} and output.classes is None:
            output.classes = len(words)


def plain_labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    for key, value in (labels or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise UsageError(
                f"labels={{{key!r}: {value!r}}}: both must be strings; numbers belong into metadata="
            )
    return dict(labels or {})


def plain_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Numbers, strings, lists and dicts only."""
    plain: dict[str, Any] = _plain(dict(metadata or {}), "metadata")
    return plain


def _plain(value: Any, where: str, depth: int = 0) -> Any:  # noqa: PLR0911 - one rule a kind
    if depth > _MAX_DEPTH:
        raise UsageError(f"metadata is nested more than {_MAX_DEPTH} deep, or holds itself")
    if value is None or type(value) in {bool, int, float, str}:
        return value
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str)]:
            raise UsageError(f"{where} has the key {odd[0]!r}; keys must be strings")
        return {str(key): _plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, f"{where}[{place}]", depth + 1) for place, item in enumerate(value)]
    if callable(getattr(value, "tolist", None)):  # numpy numbers and arrays, torch tensors
        return _plain(value.tolist(), where, depth)
    if isinstance(value, Enum):
        return _plain(value.value, where, depth)
    for kind in (int, float, str):  # their subclasses
        if isinstance(value, kind):
            return kind(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise UsageError(
        f"{where} is of type {type(value).__qualname__}; only numbers, strings, lists and dicts can be kept"
    )


def _wanted(
    framework: Framework, obj: Any, methods: Iterable[str] | Mapping[str, Mapping[str, Any]] | None
) -> dict[str, Mapping[str, Any]]:
    if methods is None:
        return {name: {} for name in framework.methods(obj)}
    if isinstance(methods, str):
        raise UsageError(f"methods={methods!r}: give a list, methods=[{methods!r}]")
    wanted = dict(methods) if isinstance(methods, Mapping) else {name: {} for name in methods}
    for name, settings in wanted.items():
        if odd := [key for key in settings if key not in _METHOD_KEYS]:
            raise UsageError(f"methods[{name!r}] has {odd[0]!r}; it takes {', '.join(_METHOD_KEYS)}")
        stand_in = name in {"predict", "__call__"} and callable(obj)
        known = stand_in or callable(getattr(obj, name, None)) or name in framework.methods(obj)
        if not known:
            raise ModelError(
                f"{type(obj).__qualname__} has no method {name!r}; it has {', '.join(framework.methods(obj))}"
            )
    if not wanted:
        raise UsageError("methods= is empty; leave it out to let the framework choose")
    return wanted


def _make_ragged(where: str, spec: MethodSpec, settings: Mapping[str, Any]) -> None:
    """Weights, padding and sizes; a stored model takes no `lengths`, and no function weighs its calls."""
    if not spec.batch:
        raise UsageError(f"{where} takes no batches, so there is nothing to weigh, pad or fill up")
    cost = settings.get("cost")
    check_cost(where, cost, settings.get("max_cost"))
    if callable(cost):
        raise UsageError(
            f"{where}: a function cannot be saved with a model; use cost='length', or write a runner class"
        )
    spec.cost, spec.max_cost = cost or "", settings.get("max_cost")
    if "sizes" in settings:
        spec.sizes = increasing(where, "sizes", settings["sizes"])
        spec.max_batch_size = min(spec.max_batch_size or spec.sizes[-1], spec.sizes[-1])
    spec.padding = padding(where, *(settings.get(key) for key in ("pad", "buckets", "axis", "unpad")))
    if spec.padding is not None:
        spec.padding.arguments = list(spec.inputs)
        check_names(where, spec.padding, spec.padding.arguments)
        _let_lengths_vary(spec, spec.padding)


def _let_lengths_vary(spec: MethodSpec, ragged: PaddingSpec) -> None:
    """The length that the example happened to have is nobody else's."""
    padded = [kind for name, kind in spec.inputs.items() if not ragged.values or name in ragged.values]
    if ragged.unpad is True and spec.output is not None:
        padded.append(spec.output)
    for kind in padded:
        if kind.shape is not None and len(kind.shape) > ragged.axis:
            kind.shape[ragged.axis] = "length"


def _describe_one(framework: Framework, obj: Any, method: str, example: Example | None) -> MethodSpec:
    try:
        return framework.describe(obj, method, example)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{type(obj).__qualname__}.{method} fails on example=: {type(error).__name__}: {error}; "
            "give rows that it takes, or name the methods that services need, methods=['predict']"
        ) from error


def _shown(words: Sequence[str]) -> str:
    return ", ".join(words[:5]) + (", …" if len(words) > 5 else "")
