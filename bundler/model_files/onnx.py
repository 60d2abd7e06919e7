"""ONNX: a protocol buffer with the fields of `ModelProto`, walked from the first to the last byte.

Fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (message ModelProto).
"""

from __future__ import annotations

from typing import BinaryIO

from .found import Found
from .head import Head

_VARINT, _LENGTH = 0, 2
_IR_VERSION, _PRODUCER, _GRAPH, _OPSET = 1, 2, 7, 8
_KNOWN = {1: _VARINT, 2: _LENGTH, 3: _LENGTH, 4: _LENGTH, 5: _VARINT, 6: _LENGTH, 7: _LENGTH, 8: _LENGTH}
_KNOWN |= {14: _LENGTH, 20: _LENGTH, 25: _LENGTH, 26: _LENGTH}
"""Field to its wire type."""
_MAX_FIELDS = 10_000


def look(head: Head) -> Found | None:
    if head.data[4:8] == b"ORTM":
        return Found(path=head.path, what="an ONNX model in onnxruntime's form", framework="onnx")
    if head.folder or not head.data or head.data[0] >> 3 not in _KNOWN:
        return None
    with head.path.open("rb") as file:
        fields, cut = _fields(file, head.size_bytes)
    if cut and {_IR_VERSION, _PRODUCER} <= fields and head.data[0] >> 3 == _IR_VERSION:
        return Found(
            path=head.path, what="an ONNX model that is cut", advice="fetch or save it again", model=True
        )
    if cut or not {_IR_VERSION, _GRAPH, _OPSET} <= fields:
        return None
    return Found(path=head.path, what="an ONNX model", framework="onnx")


def _fields(file: BinaryIO, size: int) -> tuple[set[int], bool]:
    """Numbers of the fields, none when the bytes are no such message; and whether they are cut."""
    found: set[int] = set()
    at = 0
    for _ in range(_MAX_FIELDS):
        if at == size:
            return found, False
        key, at = _varint(file, at)
        if key < 0:
            return found, True
        number, wire = key >> 3, key & 7
        if _KNOWN.get(number) != wire:
            return set(), False
        value, at = _varint(file, at)
        if value < 0:
            return found, True
        if wire == _LENGTH:
            at += value
            if at > size:
                return found, True
            file.seek(at)
        found.add(number)
    return set(), False


def _varint(file: BinaryIO, at: int) -> tuple[int, int]:
    """The number and the place behind it; -1 when there is none."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            break
        at += 1
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value, at
    return -1, at
