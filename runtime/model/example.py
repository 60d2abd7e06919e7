"""An example call: what the user gives as `example=`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Example:
    """Arguments of one call.

    Args:
        args: positional, in order.
        kwargs: by name.
    """

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> Example:
        """A tuple is positional arguments, a dict with names as keys is keywords, all else is one argument.

        For a function whose one argument is itself a tuple or dict, give a tuple of one: `({"age": 3},)`.
        """
        if isinstance(value, Example):
            return value
        if isinstance(value, tuple):
            return cls(args=value)
        if (
            isinstance(value, dict)
            and value
            and all(isinstance(key, str) and key.isidentifier() for key in value)
        ):
            return cls(kwargs=dict(value))
        return cls(args=(value,))
