"""What is wrong with a value of the bundlefile, in the words of who wrote it and not of the parser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

# `msgspec.ValidationError`: "Expected `object`, got `float` - at `$.python`".
_MISMATCH = re.compile(r"Expected `([^`]+)`, got `[^`]+`")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.+)`")
_PLACE = re.compile(r" - at (`key` in )?`\$\.?([^`]*)`$")
_STEP = re.compile(r"\[(\d+|\.\.\.)\]|([^.\[\]]+)")


class _Kind(NamedTuple):
    words: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_KINDS = {
    "object": _Kind("a map of keys", lambda value: isinstance(value, dict)),
    "array": _Kind("a list", lambda value: isinstance(value, list)),
    "str": _Kind("text", lambda value: isinstance(value, str)),
    "int": _Kind("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": _Kind("a number", _is_number),
    "bool": _Kind("true or false", lambda value: isinstance(value, bool)),
    "null": _Kind("nothing", lambda value: value is None),
}
_EXAMPLES: dict[str, Any] = {
    "service": "service:Iris",
    "name": "iris",
    "labels": {"team": "botany"},
    "data": {"train": "s3://bucket/train.parquet"},
    "metrics": {"accuracy": 0.97},
    "include": ["*.py"],
    "exclude": ["notes/"],
    "allow_secrets": ["tests/key.pem"],
    "models": ["iris"],
    "platforms": ["linux/arm64"],
    "python": {"version": "3.12"},
    "python.requirements": "requirements.txt",
    "python.packages": ["scikit-learn>=1.4"],
    "python.extras": ["plots"],
    "python.groups": ["serve"],
    "python.version": "3.12",
    "python.indexes": [{"name": "mine", "url": "https://example.com/simple"}],
    "python.lock": True,
    "image": {"system_packages": ["libgl1"]},
    "image.accelerator": "rocm",
    "image.base": "python:3.12-slim",
    "image.cuda": "12.8",
    "image.system_packages": ["libgl1"],
    "image.env": {"LANG": "C.UTF-8"},
    "image.user": 10001,
}
"""What a key may look like, for who wrote it otherwise."""


def wrong_value(message: str, raw: Any, *, toml: bool) -> str:
    """`python: 3.12 is a number and must be a map of keys; write python: {version: '3.12'}`

    Args:
        message: of `msgspec.ValidationError`.
        raw: what the file holds.
        toml: whether examples are written as TOML, not as YAML.
    """
    place = _PLACE.search(message)
    text = message[: place.start()] if place else message
    mismatch, missing, unknown = _MISMATCH.match(text), _MISSING.match(text), _UNKNOWN.match(text)
    expected = mismatch.group(1) if mismatch else ""
    of_key = place is not None and place.group(1) is not None
    path, value = _found(raw, place.group(2) if place else "", expected, of_key=of_key)
    example = _example(re.sub(r"\[\d+\]$", "", path), toml)
    if mismatch is None:
        if missing is not None:
            return f"{path}: {missing.group(1)} is missing{example}"
        if unknown is not None:
            return f"{path}: unknown key {unknown.group(1)}{example}"
        if text.startswith("Invalid enum value"):
            return f"{path}: {_shown(value)} is not known{example}"
        return f"{path}: {text}" if path else text
    wanted = " or ".join(_KINDS[one].words if one in _KINDS else one for one in _names(expected))
    told = f"{path}: {'the key ' * of_key}{_shown(value)} is {_kind_of(value)} and must be {wanted}"
    if expected == "str" and _is_number(value):
        lost = ", and 3.10 is not 3.1" if isinstance(value, float) else ""
        return f"{told}{lost}: put it between quotes, {str(value)!r}"
    return f"{told}{example}"


def _names(expected: str) -> list[str]:
    return [name for name in expected.split(" | ") if name != "null"]


def _found(raw: Any, place: str, expected: str, *, of_key: bool) -> tuple[str, Any]:
    """The path in words of the user, and what is there. msgspec leaves out which entry of a map it was."""
    path, value = "", raw
    for number, name in _STEP.findall(place):
        if number == "...":
            entries = value.items() if isinstance(value, dict) else enumerate(value)
            at, value = next(((at, one) for at, one in entries if not _fits(one, expected)), ("…", value))
            path += f".{at}"
        elif number:
            value = value[int(number)]
            path += f"[{number}]"
        else:
            value = value[name]
            path += f".{name}" if path else name
    if of_key:
        value = next((key for key in value if not _fits(key, expected)), value)
    return path, value


def _fits(value: Any, expected: str) -> bool:
    return any(_KINDS[name].fits(value) for name in _names(expected) if name in _KINDS)


def _kind_of(value: Any) -> str:
    """As YAML has read it; `3.12` is a number there."""
    names = ("object", "array", "str", "float", "bool", "null")
    found = (_KINDS[name].words for name in names if _KINDS[name].fits(value))
    return next(found, f"a {type(value).__name__}")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


_SHOWN_CHARS = 60


def _example(key: str, toml: bool) -> str:
    if key not in _EXAMPLES:
        return ""
    section, _, name = key.rpartition(".")
    value = _EXAMPLES[key]
    if toml:
        return f"; write {key} = {_toml(value)}"
    content = {section: {name: value}} if section else {name: value}
    written: str = yaml.safe_dump(content, default_flow_style=True, width=1000).strip()
    return f"; write {written[1:-1]}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
