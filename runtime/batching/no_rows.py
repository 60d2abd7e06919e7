"""Calls without a row, which many libraries refuse by an exception of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import InvalidInputError, OutOfMemoryError, RequestError, ResultMismatchError
from . import rows


def with_no_rows(method: Callable[..., Any]) -> Callable[..., Any]:
    """The batch method, whose call of no rows is answered with no rows or refused as the caller's mistake.

    What stands in a batch with other calls is answered in any case: there it takes no part in the inference.

    Raises:
        InvalidInputError: by the method that comes back, where the one behind it cannot do without rows.
    """

    def with_no_rows(*args: Any, **kwargs: Any) -> Any:
        if rows.count(args):
            return method(*args, **kwargs)
        try:
            return rows.split(method(*args, **kwargs), [0])[0]
        except (RequestError, OutOfMemoryError, MemoryError):
            raise
        except ResultMismatchError as error:
            raise InvalidInputError(f"{_NONE}: its answer to them is no rows: send one or more") from error
        except Exception as error:
            lines = str(error).splitlines()
            said = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
            raise InvalidInputError(f"{_NONE}, and the model needs one or more ({said})") from error

    return with_no_rows


_NONE = "there are no rows"
