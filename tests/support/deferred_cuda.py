"""A GPU that does nothing before somebody waits for it, played by the CPU.

What stands in the place of `torch.cuda.Stream`, `Event`, `stream`, `current_stream`, `torch.empty` and `cat`,
and of some methods of tensors. Each copy with `non_blocking=True` and all that a module launches is put down
in its stream, and done when an event behind it is waited for, in that order. So who reads too early reads
garbage, and who writes too early spoils what is still to be copied: each time, where a real one mostly wins.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch

from tiffin.runtime.model import torch_call

_GARBAGE = 0xA5


class Stream:
    def __init__(self) -> None:
        self.work: list[Callable[[], object]] = []
        self.done = 0

    def finish(self, count: int) -> None:
        """Does all until there."""
        while self.done < count:
            self.done += 1
            with torch.inference_mode():
                self.work[self.done - 1]()

    def wait_event(self, event: Event) -> None:
        self.work.append(event.synchronize)


class Event:
    def __init__(self, device: DeferredCuda) -> None:
        self.device = device
        self.stream: Stream | None = None
        self.place = 0

    def record(self, stream: Stream | None = None) -> None:
        self.stream = stream or self.device.current
        self.place = len(self.stream.work)

    def synchronize(self) -> None:
        if self.stream is not None:
            self.stream.finish(self.place)

    def query(self) -> bool:
        """Time passes by being asked: each time one thing is done."""
        assert self.stream is not None
        done = self.stream.done >= self.place
        self.stream.finish(min(self.stream.done + 1, self.place))
        return done


class DeferredCuda:
    """The device.

    Args:
        eager: all is done at once, for modules that do not `launch`; their results may lie anywhere.
    """

    def __init__(self, *, eager: bool = False) -> None:
        self.eager = eager
        self.computes = self.current = Stream()
        self.copies = Stream()
        self.pinned: list[torch.Tensor] = []
        self.memory: list[torch.Tensor] = []
        """Tensors on the device; kept, so that an address means one of them."""
        self.recorded: set[int] = set()
        """Addresses of those that the stream which computes was said to use."""
        self._empty, self._copy, self._to, self._cat = (
            torch.empty, torch.Tensor.copy_, torch.Tensor.to, torch.cat
        )  # fmt: skip

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until it is undone, every module is said to be on this device."""
        monkeypatch.setattr(torch_call, "device_of", lambda _: torch.device("cuda", 0))
        monkeypatch.setattr(torch, "empty", self.empty)
        monkeypatch.setattr(torch, "cat", self.cat)
        monkeypatch.setattr(torch.Tensor, "copy_", method(self.copy))
        monkeypatch.setattr(torch.Tensor, "to", method(self.to))
        monkeypatch.setattr(torch.Tensor, "cpu", method(self.cpu))
        monkeypatch.setattr(torch.Tensor, "record_stream", method(self.record))
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: self.copies)
        monkeypatch.setattr(torch.cuda, "Event", lambda: Event(self))
        monkeypatch.setattr(torch.cuda, "stream", self.within)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: self.current)

    @contextlib.contextmanager
    def within(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def launch(self, function: Callable[..., dict[str, torch.Tensor]], *args: Any) -> dict[str, torch.Tensor]:
        """The results of a function, later; their shapes and dtypes now."""
        made = {name: self._garbage(torch.clone(value)) for name, value in function(*args).items()}
        self.memory += made.values()

        def work() -> None:
            for name, value in function(*args).items():
                self._copy(made[name], value)

        self._put(work)
        return made

    # -- in place of torch's own

    def empty(self, *size: Any, device: Any = None, pin_memory: bool = False, **options: Any) -> torch.Tensor:
        made = self._empty(*size, **options)
        if pin_memory:
            self.pinned.append(self._garbage(made))
        elif device is not None:
            self.memory.append(self._garbage(made))
        return made

    def copy(self, there: torch.Tensor, here: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
        if not non_blocking:
            return self._copy(there, here)
        pinned, other = (here, there) if within(here, self.pinned) else (there, here)
        assert within(pinned, self.pinned), "neither side is pinned: the CPU would wait"
        assert self.eager or within(other, self.memory), "the other side is not on the device"
        self._put(lambda: self._copy(there, here))
        return there

    def to(self, tensor: torch.Tensor, *how: Any, **options: Any) -> torch.Tensor:
        to = how[0] if len(how) == 1 else None
        if isinstance(to, torch.device) and not within(tensor, self.memory):
            self.memory.append(tensor.clone())
            return self.memory[-1]
        if isinstance(to, torch.dtype) and to != tensor.dtype and within(tensor, self.memory):
            return self.launch(lambda: {"": self._to(tensor, to)})[""]
        return self._to(tensor, *how, **options)

    def cpu(self, tensor: torch.Tensor) -> torch.Tensor:
        if within(tensor, self.memory):
            self.computes.finish(len(self.computes.work))
            return tensor.clone()
        return tensor

    def cat(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        if all(within(tensor, self.memory) for tensor in tensors):
            return self.launch(lambda: {"": self._cat(list(tensors))})[""]
        return self._cat(list(tensors))

    def record(self, tensor: torch.Tensor, stream: Stream) -> None:
        assert stream is self.computes
        self.recorded.add(tensor.data_ptr())

    def _put(self, work: Callable[[], object]) -> None:
        self.current.work.append(work)
        if self.eager:
            self.current.finish(len(self.current.work))

    def _garbage(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.numel():
            tensor.reshape(-1).view(torch.uint8).fill_(_GARBAGE)
        return tensor


def method(function: Callable[..., Any]) -> Callable[..., Any]:
    """One that a class gives the object to."""

    def method(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    return method


def within(tensor: torch.Tensor, memory: list[torch.Tensor]) -> bool:
    """Whether it is a part of one of these."""
    first, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
    return not tensor.numel() or any(
        whole.data_ptr() <= first and end <= whole.data_ptr() + whole.nbytes for whole in memory
    )


class Doubling(torch.nn.Module):
    """What a test's module begins with: its device, and a weight of two that its rows are multiplied by."""

    def __init__(self, device: DeferredCuda) -> None:
        super().__init__()
        self.device = device
        self.factor = torch.nn.Parameter(torch.tensor(2.0))
