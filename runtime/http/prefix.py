"""The path below which everything is served."""

from __future__ import annotations

import re

from ...errors import ConfigError

_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


def parse_prefix(text: str) -> str:
    """`/ml/iris`, without a slash at its end; empty for none.

    Raises:
        ConfigError: no path, or one with characters that would have to be escaped.
    """
    prefix = text.strip().rstrip("/")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ConfigError(
            f"--path-prefix {text!r} is no path: use letters, digits and ._~- between slashes, /ml/iris"
        )
    return prefix
