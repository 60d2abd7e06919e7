"""Weights of a loaded TorchScript module or exported program, put where they lie in its file: workers map it.

The archive is a zip file whose records are not compressed and begin at multiples of 64 bytes; torch's loader
copies them all the same.
"""

from __future__ import annotations

import mmap
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

from .buffers import MIN_BYTES

_HEADER = 30
"""Bytes of a local file header before name and extra field, whose lengths are its last two numbers, u16 each
(APPNOTE.TXT, 4.3.7)."""


def share_weights(module: Any, path: Path) -> None:
    """Exchanges the memory of each large weight on the CPU for a mapping of the same bytes.

    What is not found in the file byte by byte stays as it is.

    Args:
        module: just loaded from `path`.
    """
    import torch

    records = _records(path)
    known: dict[int, Any] = {}  # address of the old memory, which views and tied weights have in common
    olds = []
    for tensor in chain(module.parameters(), module.buffers(), _constants(module)):
        if tensor.device.type != "cpu" or tensor.layout is not torch.strided or tensor.is_quantized:
            continue
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
        if address not in known:
            olds.append(storage)  # kept until the end: its address must not be given to another
            known[address] = _equal(torch.empty(0, dtype=torch.uint8).set_(storage), records)
        if known[address] is not None:
            tensor.data = torch.empty(0, dtype=tensor.dtype).set_(
                known[address].untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride()
            )


def _constants(module: Any) -> list[Any]:
    """What `torch.jit.freeze` made of parameters: tensors in the code of `forward`."""
    graph: Any = getattr(module, "graph", None)
    # The graph of an exported program has no constants of its own: they are buffers.
    nodes = graph.findAllNodes("prim::Constant") if hasattr(graph, "findAllNodes") else []
    return [node.t("value") for node in nodes if node.hasAttribute("value") and node.kindOf("value") == "t"]


def _equal(old: Any, records: list[memoryview]) -> Any:
    """The first record with the same bytes, as a tensor of bytes; None when there is none."""
    import torch

    for record in records:
        if record.nbytes == old.numel():
            mapped = torch.frombuffer(record, dtype=torch.uint8)
            if torch.equal(mapped, old):
                return mapped
    return None


def _records(path: Path) -> list[memoryview]:
    """The large records of an archive, mapped; a page that is written to becomes this process's own."""
    with path.open("rb") as file:
        whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    found = []
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type == zipfile.ZIP_STORED and entry.file_size >= MIN_BYTES:
                at = entry.header_offset
                name, extra = (int.from_bytes(whole[at + n : at + n + 2], "little") for n in (26, 28))
                at += _HEADER + name + extra
                found.append(whole[at : at + entry.file_size])
    return found
