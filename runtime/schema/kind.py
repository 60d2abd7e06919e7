"""What every family of types beyond JSON's own can do: arrays, tensors, frames, images, files.

A hint is *lowered* before msgspec sees it (see `lower`): each leaf of such a family becomes a marker class
that carries its `Kind`. msgspec then hands the plain value found there to `Kind.from_plain`, wherever it is
nested, and adds the path.
"""

from __future__ import annotations

from typing import Any

from ..manifest import TypeSpec

Buffer = bytes | bytearray | memoryview


class Kind:
    """One leaf type. A family is one subclass in one file.

    Args:
        title: what error messages call it.
    """

    raw_media: tuple[str, ...] = ()
    """Media types whose whole body is one such value; `image/*` means any image."""

    any_part: bool = False
    """Whether a part of a form is taken by its bytes whatever its media type says."""

    heavy_bytes: int = 32 * 1024
    """A body of this size takes about half a millisecond to decode, or more (`Inputs.heavy_bytes`)."""

    def __init__(self, title: str) -> None:
        self.title = title

    def from_plain(self, value: Any) -> Any:
        """What JSON or msgpack held at that place (or a value that is right already) → the user's type.

        Raises:
            WrongValueError: it does not fit.
        """
        raise NotImplementedError

    def from_raw(self, body: bytes, media_type: str, name: str = "") -> Any:
        """A whole body, or one part of a form → the user's type.

        Raises:
            WrongValueError: well-formed, but does not fit.
            MalformedInputError: not what its media type says.
        """
        raise NotImplementedError

    def spec(self) -> TypeSpec:
        raise NotImplementedError

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the JSON form."""
        raise NotImplementedError

    def example(self) -> Any:
        """A small JSON value that fits; None when it would be long."""
        return None


class Marker(type):
    """Type of the stand-ins that msgspec sees; a value of any type passes for an instance."""

    kind: Kind

    def __instancecheck__(cls, instance: object) -> bool:
        return True


def marker(kind: Kind) -> Marker:
    made = Marker("Value", (), {"__module__": __name__})
    made.kind = kind
    return made
