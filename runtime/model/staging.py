"""Batches on their way to a GPU and back through pinned memory, the next one while this one is computed.

A batch is written into one of two pinned buffers and copied on a stream of its own. The stream that computes
waits for that copy's event, and the buffer is written again only after it. What comes out is copied to a
third buffer behind the computation, and taken out of there when that is done: an answer may wait for its peer
long after the next batch has run.

Torch's words on it: https://docs.pytorch.org/docs/stable/notes/cuda.html (streams, pinned memory).
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ModelError
from . import torch_call
from .pinned import Kind, PinnedBuffer
from .tensors import from_tensors, holds_tensor, to_tensors
from .torch_call import torch_or_error

Args = tuple[Any, ...]


@dataclass
class _Copy:
    """Arguments that are being copied."""

    tensors: dict[int, Any]
    """Place among the arguments to the tensor on the device."""
    done: Any
    """`torch.cuda.Event` behind all of them."""


@dataclass
class _Ahead:
    """The batch that is thought to be next."""

    parts: list[Args]
    """The calls that it joins."""
    args: Args
    copy: _Copy | None
    """None: it goes the plain way."""


class Staging:
    """For the calls of one module, one at a time from one thread.

    Args:
        module: on its device.
        tag: of the model, for errors.

    Raises:
        ModelError: it is not on an NVIDIA GPU.
    """

    def __init__(self, module: Any, tag: str) -> None:
        torch = torch_or_error()
        place = torch_call.device_of(module)
        if place.type != "cuda":
            raise ModelError(
                f"copy_ahead=True needs an NVIDIA GPU and {tag} is on {place}: torch "
                f"{torch.__version__} sees {torch.cuda.device_count()} CUDA devices; install torch for CUDA, "
                "or leave copy_ahead= out"
            )
        self._device, self._dtype = torch_call.place_of(module)
        self._stream = torch.cuda.Stream(device=self._device)
        self._buffers = deque([PinnedBuffer(), PinnedBuffer()])
        """The one that was used longest ago first."""
        self._results = PinnedBuffer()
        self._dtypes: dict[Any, Any] = {}
        """numpy's to torch's; None for what torch does not have."""
        self._ahead: _Ahead | None = None
        self._keep = False
        self.meanwhile: Callable[[Callable[[], bool]], None] | None = None
        """Called in each batch when all of it is given to the device; told how to ask whether it is done."""

    # -- the next batch

    def begin(self, args: Args, parts: list[Args]) -> None:
        """Begins to copy a batch that has not its turn yet; whatever was begun before is forgotten.

        Args:
            args: of the batch.
            parts: the calls that it joins, for `joined`.

        Raises:
            RuntimeError: torch's, when memory is short.
        """
        self._ahead = None  # its memory on the device may be taken by this one
        with torch_or_error().inference_mode():
            self._ahead = _Ahead(parts, args, self._copy(args))

    def joined(self, parts: Sequence[Args]) -> Args | None:
        """The arguments that were begun for just these calls; None when it was for others."""
        ahead = self._ahead
        return ahead.args if ahead is not None and _same(ahead.parts, parts) else None

    # -- this one

    def through(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Calls a function that calls `run`, with the arrays and tensors among `args` on the device.

        Raises:
            Exception: what the function raises.
        """
        ahead, self._ahead = self._ahead, None
        with torch_or_error().inference_mode():
            begun = ahead is not None and _same(ahead.args, args)
            copy = ahead.copy if ahead is not None and begun else self._copy(args)
            self._keep = holds_tensor(args) or (bool(kwargs) and holds_tensor(kwargs))
            return function(*self._arrived(args, copy), **kwargs)

    def run(self, _: Any, function: Any, args: Args, kwargs: dict[str, Any]) -> Any:
        """As `torch_call.run`, for the arguments that `through` gave."""
        torch = torch_or_error()
        device, dtype = self._device, self._dtype
        result = function(*to_tensors(args, device, dtype), **to_tensors(kwargs, device, dtype))
        found: list[Any] = []
        self._mapped(result, found.append)
        fetched = self._results.lay_out([(leaf.shape, leaf.dtype) for leaf in found])
        for there, here in zip(found, fetched or (), strict=False):
            here.copy_(there, non_blocking=True)
        done = torch.cuda.Event()
        done.record()
        self._results.lend_until(done)
        if self.meanwhile is not None:
            with torch.inference_mode(mode=False):  # what others send is not to become part of this
                self.meanwhile(done.query)
        done.synchronize()
        if fetched is not None:
            own = iter([here.clone() for here in fetched])
            result = self._mapped(result, lambda _: next(own))
        return from_tensors(result, keep=self._keep)

    def call(self, module: Any, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """As `torch_call.call`, likewise."""
        return self.run(module, torch_call.bound(module, method), args, kwargs)

    # -- copies

    def _copy(self, args: Args) -> _Copy | None:
        """Begins to copy the arrays and tensors among them; None for none, or too much for a buffer."""
        torch = torch_or_error()
        kinds = {place: kind for place, value in enumerate(args) if (kind := self._kind(value)) is not None}
        if not kinds:
            return None
        buffer = self._buffers[0]
        written = buffer.lay_out([*kinds.values()])
        if written is None:
            return None
        self._buffers.rotate(1)
        for place, here in zip(kinds, written, strict=True):
            if isinstance(args[place], np.ndarray):
                np.copyto(here.numpy(), args[place])
            else:
                here.copy_(args[place])
        done = torch.cuda.Event()
        with torch.cuda.stream(self._stream):
            # Memory of the stream that writes it first: the other's may be in use until it has computed.
            tensors = {
                place: torch.empty(here.shape, dtype=here.dtype, device=self._device)
                for place, here in zip(kinds, written, strict=True)
            }
            for there, here in zip(tensors.values(), written, strict=True):
                there.copy_(here, non_blocking=True)
            done.record(self._stream)
        buffer.lend_until(done)
        return _Copy(tensors, done)

    def _arrived(self, args: Args, copy: _Copy | None) -> Args:
        """The arguments as the stream that computes may use them."""
        if copy is None:
            return args
        stream = torch_or_error().cuda.current_stream(self._device)
        stream.wait_event(copy.done)
        made = list(args)
        for place, tensor in copy.tensors.items():
            tensor.record_stream(stream)  # else the copy's stream takes its memory back while it is read
            array = isinstance(args[place], np.ndarray)
            cast = array and self._dtype is not None and tensor.is_floating_point()
            made[place] = tensor.to(self._dtype) if cast else tensor
        return tuple(made)

    def _kind(self, value: Any) -> Kind | None:
        if isinstance(value, np.ndarray):
            dtype = self._dtype_of(value.dtype) if value.dtype.kind in "biufc" else None
            return None if dtype is None else (value.shape, dtype)
        return (value.shape, value.dtype) if _plain(value) and value.device.type == "cpu" else None

    def _dtype_of(self, dtype: np.dtype[Any]) -> Any:
        if dtype not in self._dtypes:
            try:
                known = torch_or_error().from_numpy(np.empty(0, dtype.newbyteorder("="))).dtype
            except TypeError:
                known = None
            self._dtypes[dtype] = known
        return self._dtypes[dtype]

    def _mapped(self, value: Any, change: Callable[[Any], Any]) -> Any:
        """The tree of a result with each of its tensors on the device changed, in order."""
        if _plain(value):
            return change(value) if value.device == self._device else value
        if isinstance(value, Mapping):
            return {key: self._mapped(item, change) for key, item in value.items()}
        if isinstance(value, (tuple, list)):
            made = [self._mapped(item, change) for item in value]
            return made if isinstance(value, list) else tuple(made)
        return value


def _plain(value: Any) -> bool:
    """Whether it is a tensor that shape and dtype say all of."""
    torch = torch_or_error()
    if type(value) is not torch.Tensor:
        return False
    return value.layout == torch.strided and not value.is_quantized and not value.is_nested


def _same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether they are the very same objects."""
    return len(some) == len(others) and all(map(operator.is_, some, others))
