"""Is what a model gives now what it gave when it was saved?

Numbers with a fraction may differ a little: another processor, another number of threads and another version
of a library add in another order. Everything else must be equal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

RTOL, ATOL = 1e-5, 1e-6
"""For float32 and wider: `|a - b| <= ATOL + RTOL * |b|`."""
HALF_RTOL, HALF_ATOL = 1e-2, 1e-3
"""For float16 and bfloat16, which have three and two digits."""
MAX_DEPTH = 50
MAX_DIFFERENCES = 20


class Tolerance(NamedTuple):
    """How much numbers with a fraction may differ; None: by their type."""

    rtol: float | None = None
    atol: float | None = None

    def of(self, half: bool) -> tuple[float, float]:
        """`(rtol, atol)`"""
        rtol = (HALF_RTOL if half else RTOL) if self.rtol is None else self.rtol
        atol = (HALF_ATOL if half else ATOL) if self.atol is None else self.atol
        return rtol, atol


BY_TYPE = Tolerance()


class Difference(NamedTuple):
    """One place where two outputs differ."""

    path: str
    """`output`, `output[0]`, `output['scores']`"""
    what: str


def differences(  # noqa: PLR0911 - one rule a kind
    recorded: Any, now: Any, *, tolerance: Tolerance = BY_TYPE, path: str = "output", depth: int = 0
) -> list[Difference]:
    """Where and by how much two outputs differ; empty when they agree.

    Args:
        recorded: when the model was saved: arrays, tensors, data frames, numbers, text, lists, dicts …
        now: the same from the model here.
        tolerance: of floating-point numbers.
        path: what the output is called.
        depth: of this value in the output.
    """
    if depth > MAX_DEPTH:
        return [Difference(path, "is nested too deep to be compared")]
    if dataclasses.is_dataclass(now) and not isinstance(now, type):
        now = {field.name: getattr(now, field.name) for field in dataclasses.fields(now)}
    if isinstance(recorded, Mapping) and isinstance(now, Mapping):
        return _mappings(recorded, now, tolerance, path, depth)
    if isinstance(recorded, (list, tuple)) and isinstance(now, (list, tuple)):
        return _sequences(recorded, now, tolerance, path, depth)
    if _is_frame(recorded) or _is_frame(now):
        return _frames(recorded, now, tolerance, path, depth)
    first, second = _array(recorded), _array(now)
    if first is not None and second is not None:
        return _arrays(first, second, tolerance, path, half=_is_half(recorded))
    if first is not None or second is not None or type(recorded) is not type(now):
        return [Difference(path, f"was {_kind(recorded)}, is {_kind(now)}")]
    if isinstance(recorded, float):
        import numpy as np

        return _arrays(np.asarray(recorded), np.asarray(now), tolerance, path)
    return [] if _equal(recorded, now) else [Difference(path, f"was {_short(recorded)}, is {_short(now)}")]


def _mappings(
    recorded: Mapping[Any, Any], now: Mapping[Any, Any], tolerance: Tolerance, path: str, depth: int
) -> list[Difference]:
    found = [Difference(f"{path}[{key!r}]", "is missing") for key in recorded if key not in now]
    found += [Difference(f"{path}[{key!r}]", "is new") for key in now if key not in recorded]
    for key in recorded:
        if key in now and len(found) < MAX_DIFFERENCES:
            place = f"{path}[{key!r}]"
            found += differences(recorded[key], now[key], tolerance=tolerance, path=place, depth=depth + 1)
    return found[:MAX_DIFFERENCES]


def _sequences(
    recorded: list[Any] | tuple[Any, ...],
    now: list[Any] | tuple[Any, ...],
    tolerance: Tolerance,
    path: str,
    depth: int,
) -> list[Difference]:
    if len(recorded) != len(now):
        return [Difference(path, f"had {len(recorded)} items, has {len(now)}")]
    found: list[Difference] = []
    for place, (one, other) in enumerate(zip(recorded, now, strict=True)):
        if len(found) >= MAX_DIFFERENCES:
            break
        found += differences(one, other, tolerance=tolerance, path=f"{path}[{place}]", depth=depth + 1)
    return found[:MAX_DIFFERENCES]


def _frames(recorded: Any, now: Any, tolerance: Tolerance, path: str, depth: int) -> list[Difference]:
    if not (_is_frame(recorded) and _is_frame(now)):
        return [Difference(path, f"was {_kind(recorded)}, is {_kind(now)}")]
    if hasattr(recorded, "columns") != hasattr(now, "columns"):
        return [Difference(path, f"was {_kind(recorded)}, is {_kind(now)}")]
    if not hasattr(recorded, "columns"):
        return differences(
            recorded.to_numpy(), now.to_numpy(), tolerance=tolerance, path=path, depth=depth + 1
        )
    columns = [str(name) for name in recorded.columns], [str(name) for name in now.columns]
    if columns[0] != columns[1]:
        return [Difference(path, f"had the columns {', '.join(columns[0])}, has {', '.join(columns[1])}")]
    one = {name: recorded.iloc[:, place].to_numpy() for place, name in enumerate(columns[0])}
    other = {name: now.iloc[:, place].to_numpy() for place, name in enumerate(columns[0])}
    return _mappings(one, other, tolerance, path, depth)


def _arrays(
    recorded: Any, now: Any, tolerance: Tolerance, path: str, *, half: bool = False
) -> list[Difference]:
    import numpy as np

    if recorded.shape != now.shape:
        return [Difference(path, f"had shape {list(recorded.shape)}, has {list(now.shape)}")]
    if recorded.dtype.kind in "SU" and now.dtype.kind == recorded.dtype.kind:
        wrong = recorded != now  # the width is that of the longest
    elif recorded.dtype != now.dtype:
        return [Difference(path, f"was {recorded.dtype.name}, is {now.dtype.name}")]
    elif recorded.dtype.kind in "fc":
        rtol, atol = tolerance.of(half)
        wrong = ~np.isclose(now, recorded, rtol=rtol, atol=atol, equal_nan=True)
    elif recorded.dtype.kind == "O":
        return differences(recorded.tolist(), now.tolist(), tolerance=tolerance, path=path, depth=1)
    else:
        wrong = np.asarray(recorded != now)
        if recorded.dtype.kind in "mM":
            wrong &= ~(np.isnat(recorded) & np.isnat(now))
    if not wrong.any():
        return []
    where = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    place = f"[{', '.join(map(str, where))}]" if wrong.ndim else ""
    what = f"{int(wrong.sum())} of {wrong.size} values differ"
    if recorded.dtype.kind in "fciu":
        what += f", by {_largest(recorded, now)} at most"
    if recorded.dtype.kind in "fc":
        rtol, atol = tolerance.of(half)
        what += f" (allowed: {atol:g} + {rtol:g} × |value|)"
    return [Difference(path, f"{what}; {place or 'it'} was {recorded[where]}, is {now[where]}")]


def _largest(recorded: Any, now: Any) -> str:
    import numpy as np

    wide = np.complex128 if recorded.dtype.kind == "c" else np.float64
    with np.errstate(all="ignore"):
        apart = np.abs(recorded.astype(wide) - now.astype(wide))
    finite = apart[np.isfinite(apart)]
    return f"{finite.max():.3g}" if finite.size else "an infinite number"


def _is_half(value: Any) -> bool:
    """Told before `_array`, which widens what numpy does not have."""
    return str(getattr(value, "dtype", "")).removeprefix("torch.") in {"float16", "bfloat16"}


def _array(value: Any) -> Any:
    """As numpy has it; None for what is no array."""
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    if module == "torch" and hasattr(value, "detach"):
        plain = value.detach().cpu()
        return (plain.float() if str(plain.dtype) == "torch.bfloat16" else plain).numpy()
    if module == "scipy" and hasattr(value, "toarray"):
        return value.toarray()
    if module in {"numpy", "PIL", "jax", "jaxlib", "tensorflow", "ml_dtypes"}:
        import numpy as np

        array = np.asarray(value)
        return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
    return None


def _is_frame(value: Any) -> bool:
    kind = type(value)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ in {"DataFrame", "Series"}


def _equal(recorded: Any, now: Any) -> bool:
    return bool(recorded == now)


def _kind(value: Any) -> str:
    return (
        f"{type(value).__name__} {_short(value)}"
        if value is None or isinstance(value, (str, int, float))
        else type(value).__name__
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
