"""Host memory that a GPU reads and writes by itself, while the CPU does something else."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from .torch_call import torch_or_error

MAX_BYTES = 64 * 1024 * 1024
"""Of a buffer. Pinned memory is never swapped out and comes off what the whole machine has; 64 images of
3 × 224 × 224 float32 take 38 MB."""
ALIGNMENT = 256
"""Of each tensor in it, in bytes: as torch aligns its own on the device."""
_MIN_BYTES = 64 * 1024
"""Pinning takes a call of the driver whatever the size."""

Kind = tuple[Sequence[int], Any]
"""Shape, `torch.dtype`."""


class PinnedBuffer:
    """One piece of it, which grows when it must and is used again when what was copied by it is there.

    Nothing is pinned before it is first used.
    """

    def __init__(self) -> None:
        self._memory: Any = None
        """uint8[capacity]"""
        self._copied: Any = None

    def lay_out(self, kinds: Sequence[Kind]) -> list[Any] | None:
        """Tensors of these kinds, one behind another; what is in them is not defined.

        Waits for the copies of the tensors that it gave before.

        Returns:
            None when they would take more than `MAX_BYTES`.
        """
        places, size = [], 0
        for shape, dtype in kinds:
            first = size + -size % ALIGNMENT
            size = first + prod(shape) * dtype.itemsize
            places.append((first, size))
        if size > MAX_BYTES:
            return None
        if self._copied is not None:
            self._copied.synchronize()
            self._copied = None
        if self._memory is None or len(self._memory) < size:
            torch = torch_or_error()
            # Powers of two, so that batches which grow row by row do not pin memory row by row.
            capacity = max(_MIN_BYTES, 1 << (size - 1).bit_length())
            self._memory = None  # the old one first: both together would be beyond the bound
            self._memory = torch.empty(capacity, dtype=torch.uint8, pin_memory=True)
        return [
            self._memory[first:end].view(dtype).view(tuple(shape))
            for (first, end), (shape, dtype) in zip(places, kinds, strict=True)
        ]

    def lend_until(self, copied: Any) -> None:
        """Its tensors are in use until this `torch.cuda.Event`."""
        self._copied = copied
