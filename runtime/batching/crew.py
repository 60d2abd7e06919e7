"""The workers of a runner, as one API process sees them: who is idle, and who holds which batch."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from ...errors import WireError
from .ports import WorkerLink
from .request import Batch


class Slot:
    """One worker; it holds no batch of this process, one, or one and the next."""

    __slots__ = ("batch", "following", "link", "retired")

    def __init__(self, link: WorkerLink) -> None:
        self.link = link
        self.batch: Batch | None = None
        self.following: Batch | None = None
        """The batch that was sent ahead: the worker begins it when it has answered the other."""
        self.retired = False
        """It takes nothing new; what it holds it still answers."""

    def batches(self) -> list[Batch]:
        """What it holds, in the order in which it runs them."""
        return [batch for batch in (self.batch, self.following) if batch is not None]

    def ends_at(self) -> float:
        """When it should have answered what it runs; `inf` when nobody knows."""
        batch = self.batch
        if batch is None:
            return inf
        service_s = batch.lane.method.policy.service_s(batch.weight)
        return batch.started + service_s if service_s > 0 else inf

    def late_at(self) -> float:
        """From then on it may take for ever: it has what it runs for twice as long as it should."""
        batch, ends_at = self.batch, self.ends_at()
        return inf if batch is None else 2 * ends_at - batch.started


class Crew:
    __slots__ = ("_slots", "busy", "idle", "size")

    def __init__(self) -> None:
        self._slots: dict[str, Slot] = {}
        self.idle: dict[Slot, None] = {}
        """Workers that take batches and hold none, longest idle first."""
        self.busy = 0
        """Workers that hold a batch."""
        self.size = 0
        """Workers that take batches."""

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots.values())

    def add(self, link: WorkerLink) -> None:
        slot = self._slots[link.id] = Slot(link)
        self.idle[slot] = None
        self.size += 1

    def retire(self, link: WorkerLink) -> None:
        slot = self._of(link)
        if slot is None or slot.retired:
            return
        slot.retired = True
        self.size -= 1
        self.idle.pop(slot, None)
        if slot.batch is None:
            link.finish()

    def remove(self, link: WorkerLink) -> list[Batch]:
        """Forgets a worker; gives what it held: the batch that it ran first."""
        slot = self._of(link)
        if slot is None:
            return []
        del self._slots[link.id]
        self.idle.pop(slot, None)
        self.busy -= slot.batch is not None
        self.size -= not slot.retired
        return slot.batches()

    def next_idle(self) -> Slot:
        """The worker that has been idle longest."""
        return next(iter(self.idle))

    def next_to_end(self, now: float) -> tuple[Slot | None, float]:
        """The worker that will have answered everything it holds before all others, and when.

        None when that is not known, or when it already holds the batch after this one.
        """
        soonest, at, follows = None, inf, False
        for slot in self._slots.values():
            if slot.retired or now >= slot.late_at():
                continue
            ends_at = slot.ends_at()
            following = slot.following
            if following is not None:
                ends_at = max(ends_at, now) + following.lane.method.policy.service_s(following.weight)
            if ends_at < at:
                soonest, at, follows = slot, ends_at, following is not None
        return (None, inf) if follows else (soonest, at)

    def give(self, slot: Slot, batch: Batch) -> None:
        """The worker holds it from now on: runs it, or will when it has answered the one before."""
        if slot.batch is None:
            slot.batch = batch
            del self.idle[slot]
            self.busy += 1
        else:
            slot.following = batch

    def take(self, link: WorkerLink, number: int) -> tuple[Batch, Batch | None]:
        """The worker answered a batch: that batch, and the one that it begins now, if it was sent ahead.

        Raises:
            WireError: it does not hold that batch.
        """
        slot = self._of(link)
        if slot is not None:
            batch, following = slot.batch, slot.following
            if batch is not None and batch.number == number:
                slot.batch, slot.following = following, None
                if following is None:
                    self._has_nothing(slot)
                return batch, following
            if following is not None and following.number == number:  # it could not even be read
                slot.following = None
                return following, None
        raise WireError(f"worker {link.id} answered batch {number}, which it was not given")

    def _has_nothing(self, slot: Slot) -> None:
        self.busy -= 1
        if slot.retired:
            slot.link.finish()
        else:
            self.idle[slot] = None

    def holder(self, batch: Batch) -> WorkerLink | None:
        """The worker that holds the batch now."""
        slot = self._slots.get(batch.worker)
        return slot.link if slot is not None and (slot.batch is batch or slot.following is batch) else None

    def running(self, link: WorkerLink) -> Batch | None:
        slot = self._of(link)
        return slot.batch if slot is not None else None

    def batches(self) -> list[Batch]:
        """All that are at workers."""
        return [batch for slot in self._slots.values() for batch in slot.batches()]

    def clear(self) -> list[WorkerLink]:
        """Forgets all."""
        links = [slot.link for slot in self._slots.values()]
        self._slots.clear()
        self.idle.clear()
        self.busy = self.size = 0
        return links

    def _of(self, link: WorkerLink) -> Slot | None:
        slot = self._slots.get(link.id)
        return slot if slot is not None and slot.link is link else None
