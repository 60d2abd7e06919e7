"""Maps of parameters in messages."""

from __future__ import annotations

from typing import Any


def plain(parameters: Any) -> dict[str, Any]:
    """As plain values; an empty one is passed over."""
    found = {}
    for name, parameter in parameters.items() if len(parameters) else ():
        which = parameter.WhichOneof("parameter_choice")
        if which is not None:
            found[name] = getattr(parameter, which)
    return found
