"""Which worker has which share of which GPU: decided before anything starts, and never more than there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...errors import ServerError
from .gpu import VISIBLE, Gpu
from .gpus import Gpus

_WHOLE = 1_000_000
"""Shares are counted in millionths: ten workers of 0.1 fill a device exactly."""


@dataclass(frozen=True)
class Demand:
    """What one runner asks for."""

    runner: str
    gpus: float
    """Of each worker: 0, a share below 1, or whole devices."""
    workers: int
    """The most that may run at a time."""


class Allotment:
    """The devices of every worker.

    Args:
        gpus: what there is.
    """

    def __init__(self, gpus: Gpus) -> None:
        self._gpus = gpus
        self._free = {gpu.id: _WHOLE for gpu in gpus.devices}
        self._given: dict[str, list[tuple[str, ...]]] = {}

    def of(self, runner: str) -> list[tuple[str, ...]]:
        """Devices of each worker of a runner, as `CUDA_VISIBLE_DEVICES` names them; empty tuples for none."""
        return list(self._given.get(runner, ()))

    def give(self, demands: Iterable[Demand]) -> Allotment:
        """Another allotment in which each of these runners has as many workers as it demands.

        Workers that are in both keep their devices. Runners that are not named keep all of theirs.

        Raises:
            ServerError: it does not fit; says who wants what, and what there is.
        """
        wanted = list(demands)
        changed = Allotment(self._gpus)
        changed._free = dict(self._free)
        changed._given = {runner: list(given) for runner, given in self._given.items()}
        for demand in wanted:
            changed._shrink(demand)
        # Whole devices first, then the large shares: small ones fit into what is left.
        for demand in sorted(wanted, key=lambda demand: -demand.gpus):
            changed._grow(demand, wanted)
        return changed

    def _shrink(self, demand: Demand) -> None:
        given = self._given.setdefault(demand.runner, [])
        while len(given) > demand.workers:
            for device in given.pop():
                self._free[device] += min(_millionths(demand.gpus), _WHOLE)

    def _grow(self, demand: Demand, wanted: Sequence[Demand]) -> None:
        given = self._given[demand.runner]
        while len(given) < demand.workers:
            devices = self._take(demand)
            if devices is None:
                raise ServerError(self._refusal(wanted))
            given.append(devices)

    def _take(self, demand: Demand) -> tuple[str, ...] | None:
        share = _millionths(demand.gpus)
        if not share:
            return ()
        if share < _WHOLE:  # the fullest device that has room, so that whole ones stay whole
            fitting = [device for device, free in self._free.items() if free >= share]
            taken = sorted(fitting, key=lambda device: self._free[device])[:1]
        else:
            taken = self._take_whole(share // _WHOLE)
        for device in taken:
            self._free[device] -= min(share, _WHOLE)
        return tuple(taken) or None

    def _take_whole(self, count: int) -> list[str]:
        whole = [gpu for gpu in self._gpus.devices if self._free[gpu.id] == _WHOLE]
        if count > 1:
            whole = [gpu for gpu in whole if not gpu.is_instance]
        return [gpu.id for gpu in whole[:count]] if len(whole) >= count else []

    def _refusal(self, wanted: Sequence[Demand]) -> str:
        asking = [demand for demand in wanted if demand.gpus]
        others = len([runner for runner, given in self._given.items() if any(given)]) - len(asking)
        parts = ", ".join(f"{demand.runner} {demand.workers} × {demand.gpus:g}" for demand in asking)
        total = sum(demand.workers * demand.gpus for demand in asking)
        beside = " beside the other runners" if others > 0 else ""
        here = ", ".join(map(_words, self._gpus.devices))
        there = f"here are {len(self._gpus.devices)}: {here}" if here else "here is none"
        text = (
            f"the workers need {total:g} GPUs ({parts}){beside}, {there} "
            f"({self._gpus.source}); use fewer workers or gpus, or make more devices visible ({VISIBLE})"
        )
        if total <= len(self._gpus.devices):
            text += "; a share lies on one device, whole devices are not shared"
        if any(demand.gpus > 1 for demand in asking) and any(gpu.is_instance for gpu in self._gpus.devices):
            text += "; a process can use one MIG instance only, so a worker with gpus above 1 gets none"
        return text


def _millionths(gpus: float) -> int:
    return round(gpus * _WHOLE)


def _words(gpu: Gpu) -> str:
    return f"{gpu.id} ({gpu.name})" if gpu.name else gpu.id
