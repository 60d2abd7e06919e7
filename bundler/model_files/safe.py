"""Formats that run no code: skops holds a whole estimator, safetensors only weights."""

from __future__ import annotations

import re

from .found import Found
from .head import Head
from .torch_archive import weights_advice

_SKOPS = re.compile(rb'\s*\{\s*"__class__":.{1,2000}"__loader__":', re.DOTALL)
_MAX_HEADER_BYTES = 100 * 1024 * 1024


def look_skops(head: Head) -> Found | None:
    schema = head.member("schema.json")
    if schema != "schema.json":
        return None
    # Only its beginning: the list of a forest's trees has many MB.
    if not _SKOPS.match(head.read(schema)[:4096]):
        return None
    return Found(path=head.path, what="a skops file", framework="skops")


def look_safetensors(head: Head) -> Found | None:
    """https://huggingface.co/docs/safetensors: u64 length of a JSON object, the object, the tensors."""
    length = int.from_bytes(head.data[:8], "little")
    if not 2 <= length <= min(_MAX_HEADER_BYTES, max(head.size_bytes - 8, 0)) or head.data[8:9] != b"{":
        return None
    return Found(
        path=head.path,
        what="a safetensors file",
        advice=weights_advice(head.path),
        weights_of="torch",
    )
