"""The framework that a user names, where none is to be found by the model."""

from __future__ import annotations

from ..errors import ModelError
from ..runtime.model.framework import Framework, framework, frameworks
from ..runtime.service.options import nearest


def chosen_framework(name: object) -> Framework:
    """
    Raises:
        ModelError: there is none of that name; says which there are, and the nearest.
    """
    if not isinstance(name, str):
        raise ModelError(f"framework={name!r} is no name; there are {', '.join(frameworks())}")
    try:
        return framework(name)
    except ModelError as error:
        raise ModelError(f"{error}{nearest(name.lower(), frameworks())}") from None
