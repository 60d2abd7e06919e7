"""Words of a Dockerfile. Whatever goes through these stays inside its word, its line and its comment.

https://docs.docker.com/reference/dockerfile/: in double quotes a backslash, a quote and a dollar sign are
escaped by a backslash, and nothing else is special; an instruction ends with its line.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

from ...errors import ConfigError

_WIDTH = 100
_SPECIAL = re.compile(r'([\\"$])')
_WORD = re.compile(r"[A-Za-z0-9/_.][A-Za-z0-9/_.:@=+~-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def word(text: str) -> str:
    """The text itself, when it is one harmless word: a name, path, version or digest.

    Raises:
        ConfigError: it is not.
    """
    if not _WORD.fullmatch(text):
        raise ConfigError(f"{text!r} cannot stand in a Dockerfile; use letters, digits and / _ . : @ = + ~ -")
    return text


def optional(name: str) -> str:
    """A pattern that matches one file: COPY lets a pattern match nothing, where something else is copied too.

    Raises:
        ConfigError: the name is no harmless word.
    """
    return f"{word(name[:-1])}[{word(name[-1])}]"


def text(value: str) -> str:
    """A text in double quotes, for ENV and LABEL.

    Raises:
        ConfigError: it has more than one line or characters that cannot be printed.
    """
    if value and not value.isprintable():
        raise ConfigError(
            f"{value!r} cannot stand in a Dockerfile: it must be one line of printable characters"
        )
    return '"' + _SPECIAL.sub(r"\\\1", value) + '"'


def variables(env: Mapping[str, str]) -> str:
    """`A="1" \\` lines for ENV, in the order of the names."""
    for name in env:
        if not _VARIABLE.fullmatch(name):
            raise ConfigError(f"{name!r} is not the name of an environment variable")
    return " \\\n    ".join(f"{name}={text(env[name])}" for name in sorted(env))


def comment(value: str) -> str:
    """Lines of at most 100 characters that begin with `# `."""
    plain = "".join(char if char.isprintable() else " " for char in value)
    return "\n".join(f"# {line}" for line in textwrap.wrap(plain, _WIDTH - 2, break_long_words=False) or [""])
