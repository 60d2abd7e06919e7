"""Who belongs to a generation and who of them is up, as API processes and the metrics are told."""

from __future__ import annotations

from ..manifest import ServiceSpec
from .api import Api
from .control import Gone, Target, Workers
from .house import House
from .slot import Slot
from .worker import Worker


class Register:
    """
    Args:
        title: of what is served: a bundle's tag, or `module:Class`.
        counted: whether the metrics tell of these workers: of a later generation's only once it took over.

    Attributes:
        apis: by index.
        workers: runner to its workers, by index.
        leaving: finish what they have; nothing takes their place.
        all_warm: every worker has been warm once.
    """

    def __init__(self, house: House, target: Target, title: str, *, counted: bool) -> None:
        self.apis: list[Api] = []
        self.workers: dict[str, list[Worker]] = {}
        self.leaving: set[Slot] = set()
        self.all_warm = False
        self._house = house
        self._bundle = title if target.bundle else ""
        self._counted = counted

    def all_workers(self) -> list[Worker]:
        return [worker for slots in self.workers.values() for worker in slots]

    def slots(self) -> list[Slot]:
        return [*self.apis, *self.all_workers(), *self.leaving]

    def answering(self) -> list[Api]:
        """API processes that have callers; those that leave until they have answered them."""
        return [*self.apis, *(slot for slot in self.leaving if isinstance(slot, Api))]

    def addresses(self) -> Workers:
        warm = [worker.told() for worker in self.all_workers() if worker.up]
        return Workers(workers=warm, all_warm=self.all_warm)

    def tell_apis(self) -> None:
        """The workers that are warm now."""
        message = self.addresses()
        for api in self.answering():
            api.send(message)

    def tell_gone(self, worker: Worker) -> None:
        """Its process has ended."""
        for api in self.answering():
            api.send(Gone(worker=worker.id))

    def notice_warmth(self) -> None:
        """To be called once the workers are known, and when one comes up."""
        self.all_warm = self.all_warm or all(worker.up for worker in self.all_workers())

    def meant(self, worker_id: str) -> Worker | None:
        """The worker with that process, while it is up and nobody has ended it."""
        for worker in [*self.all_workers(), *self.leaving]:
            if isinstance(worker, Worker) and worker.id == worker_id and worker.up:
                return worker if worker.child is not None and not worker.child.ordered else None
        return None

    # in the metrics

    def open_metrics(self, spec: ServiceSpec) -> None:
        """The service is known."""
        if self._counted:
            self._house.open_metrics(spec.name, self._bundle)

    def take_over(self, spec: ServiceSpec | None) -> None:
        """From now on the metrics tell of these workers."""
        self._counted = True
        if spec is not None:
            self.open_metrics(spec)
        for worker in self.all_workers():
            if worker.up:
                self.count_up(worker)

    def count_up(self, worker: Worker) -> None:
        if self._counted and worker.child is not None:
            self._house.worker_up(worker.runner.name, worker.name, worker.child.pid)

    def count_down(self, worker: Worker) -> None:
        if self._counted and not worker.stopping:  # else its namesake of the next generation is up
            self._house.worker_down(worker.runner.name, worker.name)
