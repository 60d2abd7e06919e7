"""An example call and what came of it, kept beside a model's files: never a pickle.

    example-calls/<method>.msgpack
        {"format": 1, "call": <description>, "buffers": [<bytes>, …]}

The description and the buffers are those of a frame between processes (`wire/values.py`): arrays, tensors,
data frames, images, plain values. Reading one runs no code of its author's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ...errors import IntegrityError, WireError
from ..digest import hash_stream, open_regular
from ..manifest import FileEntry, ModelInfo

EXAMPLES_FOLDER = "example-calls"
MAX_BYTES = 4 * 1024 * 1024
"""Of one file."""
FORMAT = 1
_METHOD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")


@dataclass(frozen=True)
class Recorded:
    """One call."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    output: Any = None


class _File(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    format: int
    call: bytes
    buffers: list[bytes]


def path_of(method: str) -> str:
    """`example-calls/predict.msgpack`; empty when no file can be called so."""
    return f"{EXAMPLES_FOLDER}/{method}.msgpack" if _METHOD.fullmatch(method) else ""


def method_of(path: str) -> str:
    """`predict` of `example-calls/predict.msgpack`."""
    return path.removeprefix(f"{EXAMPLES_FOLDER}/").removesuffix(".msgpack")


def encode(call: Recorded) -> bytes:
    """
    Raises:
        WireError: a value that does not travel between processes; says which.
    """
    from ..wire.values import pack

    description, buffers = pack({"args": list(call.args), "kwargs": call.kwargs, "output": call.output})
    return msgspec.msgpack.encode(
        _File(format=FORMAT, call=description, buffers=[bytes(buffer) for buffer in buffers])
    )


def decode(data: bytes) -> Recorded:
    """
    Raises:
        IntegrityError: it is damaged, of a newer format, or needs a package that is not installed.
    """
    from ..wire.values import unpack

    try:
        file = msgspec.msgpack.decode(data, type=_File)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise IntegrityError(f"the recorded example is damaged: {error}") from error
    if file.format != FORMAT:
        raise IntegrityError(f"the recorded example has format {file.format}, this tiffin reads {FORMAT}")
    try:
        # A copy of its own each: a model may write into what it is given.
        call = unpack(file.call, [memoryview(bytearray(buffer)) for buffer in file.buffers])
    except (WireError, ImportError) as error:
        raise IntegrityError(f"the recorded example cannot be read: {error}") from error
    wanted = {"args": list, "kwargs": dict, "output": object}
    right = isinstance(call, dict) and call.keys() == wanted.keys()
    if not right or not all(isinstance(call[name], kind) for name, kind in wanted.items()):
        raise IntegrityError("the recorded example is damaged: it is no call")
    return Recorded(tuple(call["args"]), dict(call["kwargs"]), call["output"])


def read_examples(folder: Path, info: ModelInfo) -> dict[str, Recorded]:
    """The calls that were recorded with a model, by method.

    Args:
        folder: of the model.
        info: its manifest, whose digests are believed.

    Raises:
        IntegrityError: a file is missing, damaged, or not what the manifest says.
    """
    return {method_of(entry.path): decode(_read(folder, entry)) for entry in info.examples}


def _read(folder: Path, entry: FileEntry) -> bytes:
    path = folder / entry.path
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
            file.seek(0)
            digest, size = hash_stream(file)
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing") from None
    if (digest, size) != (entry.sha256, entry.size_bytes) or size > MAX_BYTES:
        raise IntegrityError(f"{path} is not what its digest says")
    return data
