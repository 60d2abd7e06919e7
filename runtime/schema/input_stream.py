"""A parameter hinted `AsyncIterator[T]`: its items come in while the api runs.

Where a protocol can only send a request as a whole, the parameter is a list of the items.
"""

from __future__ import annotations

import collections.abc
import typing
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import InvalidInputError, MalformedInputError, RequestError, ServiceDefinitionError
from . import media
from .array import ArrayKind
from .explain import explain
from .file import OCTETS
from .finite import check_finite
from .hints import MISSING, Hinted
from .kind import Buffer
from .lower import dec_hook
from .parameter import Parameter
from .wrong import WrongValueError

if TYPE_CHECKING:
    from .inputs import Inputs

_STREAMS = (collections.abc.AsyncIterator, collections.abc.AsyncIterable)
NPY_MAGIC = b"\x93NUMPY"


def streamed(found: list[Hinted], where: str, *, is_async: bool) -> Hinted | None:
    """The parameter that is an input stream; None when none is.

    Args:
        found: every parameter of the api.
        where: for errors.
        is_async: the api is `async def`.

    Raises:
        ServiceDefinitionError: several are, it has a default, or the api cannot wait for items.
    """
    streams = [each for each in found if typing.get_origin(each.hint) in _STREAMS or each.hint in _STREAMS]
    if not streams:
        return None
    first = streams[0]
    if len(streams) > 1:
        raise ServiceDefinitionError(
            f"{where}: {first.name!r} and {streams[1].name!r} are both AsyncIterator; one request has one "
            "input stream, so make it AsyncIterator[tuple[…]] or take a list"
        )
    if not is_async:
        raise ServiceDefinitionError(
            f"{where}: parameter {first.name!r} is an AsyncIterator, which a plain `def` cannot read; "
            "write `async def`"
        )
    if first.default is not MISSING:
        raise ServiceDefinitionError(
            f"{where}: parameter {first.name!r} is an AsyncIterator and has a default; remove it: a stream "
            "may be empty"
        )
    return first


def as_list(hinted: Hinted) -> Hinted:
    """The same parameter for requests that are whole: `AsyncIterator[T]` → `list[T]`."""
    return replace(hinted, hint=list[_item_hint(hinted)])  # type: ignore[misc]


def _item_hint(hinted: Hinted) -> Any:
    arguments = typing.get_args(hinted.hint)
    return arguments[0] if arguments else Any


class InputStream:
    """The items of one parameter, compiled.

    Args:
        hinted: as the user wrote it.
        where: for errors.
    """

    def __init__(self, hinted: Hinted, where: str) -> None:
        self.name = hinted.name
        self.element = Parameter(replace(hinted, hint=_item_hint(hinted)), where)
        kind = self.element.kind
        self.is_bytes = kind is not None and kind.any_part
        """An item is the content of a binary message as it stands: bytes, a file, an image."""
        self.rest: Inputs
        """All other parameters: what a request begins with when the items come one by one."""
        self._array = kind if isinstance(kind, ArrayKind) else None

    def from_json(self, text: Buffer, at: int) -> Any:
        """One item from its JSON.

        Args:
            at: its number, from 0, for errors.

        Raises:
            MalformedInputError: not JSON.
            InvalidInputError: it does not fit.
        """
        return self._read(at, lambda: self.element.from_json(bytes(text)))

    def from_binary(self, data: bytes, at: int) -> Any:
        """One item from its bytes: the content of a file, npy for arrays, msgpack for all else."""
        kind = self.element.kind
        if kind is not None and self.is_bytes:
            return self._read(at, lambda: kind.from_raw(data, OCTETS))
        if kind is not None and self._array is not None and data.startswith(NPY_MAGIC):
            return self._read(at, lambda: kind.from_raw(data, media.NPY))
        return self._read(at, lambda: self._from_msgpack(data))

    def from_plain(self, plain: Any, at: int) -> Any:
        """One item as another protocol decoded it: None, numbers, strings, bytes, lists and maps; arrays,
        images and files as they are."""
        return self._read(at, lambda: self._converted(plain, "message"))

    def from_list(self, items: list[Any]) -> AsyncIterator[Any]:
        """A request that came as a whole, item by item."""
        return _each(items)

    def from_lines(self, body: Buffer) -> list[Any]:
        """A whole body of newline-delimited JSON; empty lines are passed over."""
        lines = [line for line in bytes(body).splitlines() if line.strip()]
        return [self.from_json(line, at) for at, line in enumerate(lines)]

    def _from_msgpack(self, data: bytes) -> Any:
        try:
            plain = msgspec.msgpack.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise MalformedInputError(f"the item is not msgpack: {error}") from error
        return self._converted(plain, "msgpack")

    def _converted(self, plain: Any, what: str) -> Any:
        try:
            value = msgspec.convert(plain, self.element.plain, dec_hook=dec_hook)
        except (msgspec.ValidationError, RecursionError) as error:
            refused = explain(error, (), what, hint=self.element.plain)
            raise InvalidInputError(refused.message, path=self.element.path + refused.path[1:]) from error
        if not self.element.may_be_nan:
            check_finite(plain, self.element.path)
        if self.element.fields is not None:
            self.element.fields.settle(value, plain, self.element.path)
        return value

    def _read(self, at: int, read: Callable[[], Any]) -> Any:
        """Puts the item's number into the path of what is wrong with it."""
        whole = self.element.path
        try:
            return read()
        except WrongValueError as error:
            raise error.under(f"{whole}[{at}]") from error
        except RequestError as error:
            inside = error.path.removeprefix(whole) if error.path else ""
            raise type(error)(error.message, path=f"{whole}[{at}]{inside}") from error


async def _each(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item
