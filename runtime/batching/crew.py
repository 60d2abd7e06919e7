"""The workers of a runner, as one API process sees them: who is idle, and who holds which batch."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import WireError
from .ports import WorkerLink
from .request import Batch


class Slot:
    """One worker; it holds one batch of this process or none."""

    __slots__ = ("batch", "link", "retired")

    def __init__(self, link: WorkerLink) -> None:
        self.link = link
        self.batch: Batch | None = None
        self.retired = False
        """It takes nothing new; what it holds it still answers."""


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

    def remove(self, link: WorkerLink) -> Batch | None:
        """Forgets a worker; gives the batch that it held."""
        slot = self._of(link)
        if slot is None:
            return None
        del self._slots[link.id]
        self.idle.pop(slot, None)
        self.busy -= slot.batch is not None
        self.size -= not slot.retired
        return slot.batch

    def next_idle(self) -> WorkerLink:
        """The worker that has been idle longest."""
        return next(iter(self.idle)).link

    def give(self, batch: Batch) -> None:
        """The worker named in the batch holds it from now on."""
        slot = self._slots[batch.worker]
        slot.batch = batch
        del self.idle[slot]
        self.busy += 1

    def take(self, link: WorkerLink, number: int) -> Batch:
        """The worker answered its batch, and is idle again.

        Raises:
            WireError: it does not hold that batch.
        """
        slot = self._of(link)
        if slot is None or slot.batch is None or slot.batch.number != number:
            raise WireError(f"worker {link.id} answered batch {number}, which it was not given")
        batch, slot.batch = slot.batch, None
        self.busy -= 1
        if slot.retired:
            link.finish()
        else:
            self.idle[slot] = None
        return batch

    def holder(self, batch: Batch) -> WorkerLink | None:
        """The worker that holds the batch now."""
        slot = self._slots.get(batch.worker)
        return slot.link if slot is not None and slot.batch is batch else None

    def held(self, link: WorkerLink) -> Batch | None:
        slot = self._of(link)
        return slot.batch if slot is not None else None

    def batches(self) -> list[Batch]:
        return [slot.batch for slot in self._slots.values() if slot.batch is not None]

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
