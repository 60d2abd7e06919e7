"""Tensors that do not lie in the request: how its parameters name their places."""

from __future__ import annotations

from typing import Any

from ....errors import InvalidInputError

REGION, REGION_SIZE, REGION_OFFSET = "shared_memory_region", "shared_memory_byte_size", "shared_memory_offset"


def size_of(parameters: dict[str, Any], name: str, path: str, default: int | None = None) -> int:
    """A number of bytes; raises InvalidInputError."""
    value = parameters.get(name, default)
    if type(value) is not int or value < 0:
        raise InvalidInputError(f"{name} must be a whole number of bytes, 0 or more", path=f"{path}.{name}")
    return value


def region_of(parameters: dict[str, Any], path: str) -> tuple[str, int, int]:
    """Name, offset and bytes of a place in shared memory; raises InvalidInputError."""
    name = parameters[REGION]
    if not isinstance(name, str):
        raise InvalidInputError(f"{REGION} must be a name", path=f"{path}.{REGION}")
    return name, size_of(parameters, REGION_OFFSET, path, 0), size_of(parameters, REGION_SIZE, path)
