"""msgspec's refusals → tiffin's, with the exact path and the nearest known name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import msgspec

from ...errors import InvalidInputError, MalformedInputError, RequestError
from .choices import STEP, choices
from .wrong import WrongValueError, short

_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MAX_TRIED_KEYS = 1000


def explain(
    error: Exception,
    names: Iterable[str],
    what: str = "JSON",
    at: tuple[str, Any] | None = None,
    hint: Any = None,
) -> RequestError:
    """Any exception of msgspec's decoders → the error for the caller.

    Args:
        error: DecodeError, ValidationError, UnicodeDecodeError, RecursionError, OverflowError …
        names: the parameters of the route.
        what: the format, for the message.
        at: path and value, from `locate`.
        hint: what was decoded into; errors about an enum then list what it allows.
    """
    if isinstance(error, msgspec.ValidationError):
        path, value = at or (_path(error), msgspec.UNSET)
        return _invalid(error, tuple(names), path, value, hint)
    if isinstance(error, RecursionError):
        return MalformedInputError(f"the {what} is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return MalformedInputError(f"the {what} is not valid UTF-8: {error.reason} at byte {error.start}")
    text = str(error)
    return MalformedInputError(
        text if text.startswith(f"{what} is malformed") else f"{what} is malformed: {text}"
    )


def _invalid(
    error: msgspec.ValidationError, names: tuple[str, ...], path: str, value: Any, hint: Any
) -> InvalidInputError:
    text = str(error).rpartition(" - at ")[0] or str(error)
    cause = error.__cause__
    if isinstance(cause, WrongValueError):
        return cause.under(path)
    if missing := _MISSING.fullmatch(text):
        return InvalidInputError(f"missing field `{missing[1]}`", path=f"{path}.{missing[1]}")
    if unknown := _UNKNOWN.fullmatch(text):
        return unknown_field(unknown[1], names if path == "$" else (), path)
    if text.startswith("Invalid enum value"):
        allowed = choices(hint, _path(error))
        return InvalidInputError(f"{text}; expected one of: {allowed}" if allowed else text, path=path)
    if ", got" not in text and isinstance(value, (int, float, str)) and short(value) not in text:
        text += f", got {short(value)}"  # a bound that was passed; msgspec names the bound alone
    return InvalidInputError(text, path=path)


def unknown_field(name: str, names: Iterable[str], path: str = "$") -> InvalidInputError:
    """A field that the route does not know, with the nearest that it does."""
    names = tuple(names)
    near = get_close_matches(name, names, n=1)
    if near:
        hint = f"; did you mean `{near[0]}`?"
    elif names:
        hint = "; known fields: " + ", ".join(f"`{known}`" for known in names)
    else:
        hint = "; none is expected" if path == "$" else ""
    return InvalidInputError(f"unknown field `{name[:100]}`{hint}", path=f"{path}.{name[:100]}")


def locate(error: msgspec.ValidationError, value: Any, convert: Callable[[Any], Any]) -> tuple[str, Any]:
    """The path of an error and what stands there.

    msgspec writes `$.scores[...]` for a value of a map; here the path has the key.

    Args:
        error: what `convert(value)` raised.
        value: the whole plain value; its maps are emptied in the search.
    """
    text = str(error)
    path = _path(error)
    here, named = value, "$"
    for step in STEP.findall(path[1:]):
        if step == "[...]":
            found = _guilty_key(here, lambda: _raises(convert, value, text))
            if found is None:
                return path, msgspec.UNSET
            here = here[found]
            named += f".{found}"
            continue
        try:
            here = here[step[1:]] if step[0] == "." else here[int(step[1:-1])]
        except (KeyError, IndexError, TypeError):
            return path, msgspec.UNSET
        named += step
    return named, here


def _guilty_key(mapping: Any, raises: Callable[[], bool]) -> Any:
    """Leaves one key after the other alone in the map, until the same error comes."""
    if not isinstance(mapping, dict) or len(mapping) > _MAX_TRIED_KEYS:
        return None
    for key, item in list(mapping.items()):
        mapping.clear()
        mapping[key] = item
        if raises():
            return key
    return None


def _raises(convert: Callable[[Any], Any], value: Any, text: str) -> bool:
    try:
        convert(value)
    except msgspec.ValidationError as error:
        return str(error) == text
    except RecursionError:
        return False
    return False


def _path(error: msgspec.ValidationError) -> str:
    text, _, path = str(error).rpartition(" - at ")
    return path.strip("`") if text else "$"
