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
        """A tuple is several positional arguments, a dict with names as keys is keywords, anything else is the one argument.

        A function whose single argument is itself a tuple or dict takes a tuple of one: `example=({"age": 3},)`.
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
