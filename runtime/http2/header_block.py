"""Header blocks (HPACK, RFC 7541) ⇄ fields.

Reading is left to `hpack`, once for each different block: callers send the same indexes again and again, and
a block that adds nothing to the table means the same until another one does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hpack import Decoder
from hpack.exceptions import HPACKError

from .error import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, ConnectionFaultError

Fields = list[tuple[bytes, bytes]]

LIMIT_BYTES = 64 * 1024
"""Of all fields of a block, unpacked, 32 bytes more for each."""
TABLE_BYTES = 4096
"""Of the dynamic table, as long as our settings say nothing else."""
_LIMIT_KNOWN = 64
_LIMIT_KNOWN_BYTES = 512


class HeaderBlocks:
    """Reads the blocks of one connection, all of them and in their order."""

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=LIMIT_BYTES)
        self._decoder.max_allowed_table_size = TABLE_BYTES
        self.known: dict[bytes, Any] = {}
        """Block to what was made of it; forgotten as soon as the table changes."""
        self._lasting = False
        """The block that was read last will mean the same again."""

    def read(self, block: bytes) -> Fields:
        """The fields of a block that is not in `known`; names are not checked.

        Raises:
            ConnectionFaultError: it is no header block, or too large a one.
        """
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except HPACKError as error:
            too_large = type(error).__name__ == "OversizedHeaderListError"
            code = ENHANCE_YOUR_CALM if too_large else COMPRESSION_ERROR
            raise ConnectionFaultError(code, f"header block: {error}") from error
        except Exception as error:  # the decoder met bytes that it did not expect
            raise ConnectionFaultError(COMPRESSION_ERROR, "the header block cannot be read") from error
        self._lasting = not changes_table(block)
        if not self._lasting:
            self.known.clear()
        return fields

    def keep(self, block: bytes, meaning: Any) -> None:
        """Remembers what was made of the block that was read last, if that stays true."""
        if self._lasting and len(block) <= _LIMIT_KNOWN_BYTES and len(self.known) < _LIMIT_KNOWN:
            self.known[block] = meaning


def changes_table(block: bytes) -> bool:
    """Whether a valid block adds to the table or resizes it: then the same bytes may mean something else."""
    at, end = 0, len(block)
    while at < end:
        first = block[at]
        if first & 0x80:  # indexed
            _, at = _integer(block, at, 0x7F)
        elif first & 0x60:  # a literal that is added, or a new size
            return True
        else:
            index, at = _integer(block, at, 0x0F)
            for _ in range(1 if index else 2):
                size, at = _integer(block, at, 0x7F)
                at += size
    return False


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """The integer at a place (RFC 7541, 5.1), and where it ends."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


_STATUS = {b"200": b"\x88", b"204": b"\x89", b"400": b"\x8c", b"404": b"\x8d", b"500": b"\x8e"}


def write(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Fields → a block that needs no table, so that it can be kept and sent on every connection."""
    parts = []
    for name, value in fields:
        indexed = _STATUS.get(value) if name == b":status" else None
        if indexed is not None:
            parts.append(indexed)
        else:
            parts += [b"\x00", _size(len(name)), name, _size(len(value)), value]
    return b"".join(parts)


def _size(value: int) -> bytes:
    if value < 0x7F:
        return bytes((value,))
    value -= 0x7F
    octets = [0x7F]
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)
