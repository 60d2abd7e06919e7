"""Pickles, plain, compressed and by joblib: what they hold is read off the first opcodes; nothing is run."""

from __future__ import annotations

import bz2
import io
import lzma
import pickletools
import zlib
from collections.abc import Callable
from itertools import islice
from typing import Any

from .found import Found
from .head import Head

_MAX_OPCODES = 2000
_MIN_OPCODES = 3
_INFLATED_BYTES = 64 * 1024
_TORCH_LEGACY = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""After the two bytes of the protocol: the number that torch wrote before version 1.6."""
_TEXTS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_CONTAINERS = {"EMPTY_DICT": "a dict", "DICT": "a dict", "EMPTY_LIST": "a list", "LIST": "a list"}
_REBUILDERS = {"copyreg._reconstructor", "copy_reg._reconstructor", "copyreg.__newobj__"}
"""What only makes the object whose class is named next."""


def look(head: Head) -> Found | None:
    """A pickle by its opcodes."""
    data = head.data
    if head.folder:
        return None
    if data[:1] == b"\x80" and data[2:].startswith(_TORCH_LEGACY):
        return Found(
            path=head.path,
            what="a file of torch.save in the form before torch 1.6",
            advice="load it with torch and save it again: torch.jit.script(net).save('model.pt')",
        )
    for open_stream in (None, *_COMPRESSED):
        inner = data if open_stream is None else _inflated(open_stream, data)
        named = _named(inner) if inner else None
        if named is not None:
            around = _container(inner)
            inside = f"{around} with {named}" if around and named else around or named or "something"
            return Found(path=head.path, what=f"a pickle of {inside}", pickle=named or "something")
    return None


def globals_of(data: bytes) -> list[str] | None:
    """Dotted names that a pickle's beginning refers to, in order; None: not a pickle."""
    if not _begins(data):
        return None
    found: list[str] = []
    texts: list[str] = []
    memo: dict[int, str] = {}
    count, whole = 0, False
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            count += 1
            _follow(opcode.name, argument, texts, memo, found)
            if opcode.name == "STOP" or count > _MAX_OPCODES:
                whole = True
                break
    except Exception:  # noqa: BLE001 - the data is cut here, or joblib wrote an array in between, or no pickle
        whole = False
    # Text that happens to begin like a pickle ends in nonsense after an opcode or two.
    if not all(part.isidentifier() for name in found for part in name.split(".")) or count < _MIN_OPCODES:
        return None
    return found if found or whole else None


def _begins(data: bytes) -> bool:
    """Protocols 2 to 5 say so themselves; older ones begin with a mark, a global or a container."""
    return (data[:1] == b"\x80" and data[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}) or data[:1] in {
        b"(",
        b"c",
        b"]",
        b"}",
    }


def _follow(name: str, argument: Any, texts: list[str], memo: dict[int, str], found: list[str]) -> None:
    """Keeps just as much of the stack as names of globals need."""
    if name in _TEXTS:
        texts.append(argument)
    elif name in {"MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"} and texts:
        memo[len(memo) if argument is None else int(argument)] = texts[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = ""
    elif name in {"BINGET", "LONG_BINGET", "GET"} and int(argument) in memo:
        texts.append(memo[int(argument)])
    elif name == "STACK_GLOBAL" and len(texts) > 1:
        found.append(f"{texts[-2]}.{texts[-1]}")
    elif name in {"GLOBAL", "INST"}:
        found.append(str(argument).replace(" ", "."))


def _named(data: bytes) -> str | None:
    """The first class or function; empty when the pickle names none; None: not a pickle."""
    names = globals_of(data)
    if names is None:
        return None
    return next((name for name in names if name not in _REBUILDERS), "")


def _container(data: bytes) -> str:
    """`a dict` or `a list`, when that is what all else lies in; empty otherwise."""
    for opcode, _, _ in islice(pickletools.genops(io.BytesIO(data)), _MIN_OPCODES + 1):
        if opcode.name in _CONTAINERS:
            return _CONTAINERS[opcode.name]
        if opcode.name not in {"PROTO", "FRAME", "MARK"}:
            break
    return ""


def _inflated(inflate: Callable[[bytes], bytes], data: bytes) -> bytes:
    """Nothing when it is damaged."""
    try:
        return inflate(data)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError):
        return b""


def inflates(data: bytes) -> bool:
    """Whether it begins like something compressed, and its beginning can be unpacked."""
    return any(_inflated(inflate, data) for inflate in _COMPRESSED)


def _zlib(data: bytes) -> bytes:
    if data[:1] != b"\x78":
        return b""
    return zlib.decompressobj().decompress(data, _INFLATED_BYTES)


def _gzip(data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return b""
    return zlib.decompressobj(wbits=31).decompress(data, _INFLATED_BYTES)


def _bz2(data: bytes) -> bytes:
    if data[:3] != b"BZh":
        return b""
    return bz2.BZ2Decompressor().decompress(data, _INFLATED_BYTES)


def _lzma(data: bytes) -> bytes:
    if data[:6] != b"\xfd7zXZ\x00" and data[:3] != b"]\x00\x00":
        return b""
    return lzma.LZMADecompressor().decompress(data, _INFLATED_BYTES)


_COMPRESSED = (_zlib, _gzip, _bz2, _lzma)
"""joblib's `compress=`; each gives the beginning, or nothing when its magic is missing."""
