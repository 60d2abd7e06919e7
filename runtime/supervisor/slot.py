"""A place that a process fills: when one ends, the next is started."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .control import Drain, Message
from .process import Child, Exit

logger = logging.getLogger("tiffin.supervisor")

FIRST_DELAY_S = 0.1
MAX_DELAY_S = 10.0
MAX_READY_DELAY_S = 1.0
"""After a child that was ready, however short: it can start, and all callers may be waiting for another."""
SETTLED_S = 0.5
"""A child that was ready for this long worked: its end says nothing about the next one's."""


class BackOff:
    """How long to wait before the next start: not at all after a child that worked, longer after others."""

    def __init__(self) -> None:
        self._delay_s = 0.0

    def after(self, ready_s: float | None) -> float:
        """Seconds to wait.

        Args:
            ready_s: for how long the child was ready, in seconds; None when it never was.
        """
        if ready_s is not None and ready_s >= SETTLED_S:
            self._delay_s = 0.0
        else:
            longest_s = MAX_DELAY_S if ready_s is None else MAX_READY_DELAY_S
            self._delay_s = min(self._delay_s * 2 or FIRST_DELAY_S, longest_s)
        return self._delay_s


class Slot:
    """Keeps one process running until it is told to stop.

    Args:
        name: `api-0`, `forest-1`.
        launch: starts a child; OSError when the system cannot.
        on_up: the child is ready.
        on_down: the child ended, and whether it had been ready. True: start another.
        start_timeout_s: longest until ready, in seconds; None for as long as it takes.
    """

    def __init__(
        self,
        name: str,
        *,
        launch: Callable[[], Child],
        on_up: Callable[[], None],
        on_down: Callable[[Exit, bool], bool],
        start_timeout_s: float | None = None,
    ) -> None:
        self.name = name
        self.child: Child | None = None
        self.error = ""
        """What the child said of its failure, for a person."""
        self.proven = False
        """Whether a child of this slot was ready once."""
        self._launch = launch
        self._on_up = on_up
        self._on_down = on_down
        self._start_timeout_s = start_timeout_s
        self._ready_at: float | None = None
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._keep(), name=name)

    @property
    def up(self) -> bool:
        """Ready and alive."""
        return self._ready.is_set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def ready(self, child: Child) -> None:
        """The child says that it is ready; a second time means nothing."""
        if child is self.child and child.alive and not self.up:
            self._ready_at = time.monotonic()
            self.proven = True
            self._ready.set()
            self._on_up()

    async def _keep(self) -> None:
        back_off = BackOff()
        while not self.stopping:
            self.error, self._ready_at = "", None
            try:
                self.child = child = self._launch()
            except OSError as error:
                how, was_ready = Exit(error.errno or 1), False
                self.error = f"{self.name} could not be started: {error}"
            else:
                how = await self._until_end(child)
                was_ready = self._ready_at is not None
                self._ready.clear()
            if not self._on_down(how, was_ready) or self.stopping:
                return
            delay_s = back_off.after(None if self._ready_at is None else time.monotonic() - self._ready_at)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)

    async def _until_end(self, child: Child) -> Exit:
        if self._start_timeout_s is not None:
            waiter: asyncio.Future[Any] = asyncio.ensure_future(self._ready.wait())
            await asyncio.wait(
                {waiter, child.exit}, timeout=self._start_timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            waiter.cancel()
            if not self.up and child.alive:
                self.error = f"{self.name} was not ready within {self._start_timeout_s:g} s (start_timeout_s)"
                child.kill("start timeout")
        return await child.exit

    def send(self, message: Message) -> None:
        """Tells the process that is there now; one that comes later is told at its start."""
        if self.child is not None and self.child.alive:
            self.child.send(message)

    async def stop(self, order: Message, limit_s: float) -> None:
        """Ends the process and starts no other.

        Args:
            order: asks the child to end by itself.
            limit_s: seconds until it is killed.
        """
        self._stopping.set()
        if self.child is not None and self.child.alive:
            if self.up:  # else it serves nobody yet
                self.child.send(order)
                await asyncio.wait({self.child.exit}, timeout=limit_s)
                if self.child.alive:
                    logger.warning("%s has not ended within %g s and is killed", self.name, limit_s)
            self.child.kill("drain")
        await self._task

    def kill(self) -> None:
        """Ends the process at once and starts no other; `stop` or `ended` waits for it."""
        self._stopping.set()
        if self.child is not None:
            self.child.kill("stop")

    async def ended(self) -> None:
        await self._task


S = TypeVar("S", bound=Slot)


def cut(slots: list[S], count: int) -> list[S]:
    """Takes those beyond `count` out of the list."""
    beyond = slots[count:]
    del slots[count:]
    return beyond


async def stop_all(slots: Sequence[Slot], order: Drain, margin_s: float) -> None:
    """Ends them at the same time.

    Args:
        margin_s: how long after the order's limit one that is still there is killed, in seconds.
    """
    await asyncio.gather(*(slot.stop(order, order.limit_s + margin_s) for slot in slots))
