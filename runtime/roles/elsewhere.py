"""The workers of other containers, for one API process."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from ..batching.dispatcher import Dispatcher
from ..manifest import ServiceSpec
from ..metrics import catalog
from ..metrics.metrics import Metrics
from ..metrics.series import Gauge
from ..supervisor.control import StartApi
from .dial import Credentials
from .division import elsewhere
from .options import Match, TlsFiles
from .places import Place
from .region import Region
from .terms import terms_of
from .tls import of_api


class Elsewhere:
    """
    Args:
        dispatchers: of all runners of the service.
        on_change: called when a worker was connected or lost.
        patience_s: how long a worker may take to say hello, in seconds.

    Raises:
        TiffinError: a model's manifest or a certificate cannot be read.
    """

    def __init__(
        self,
        start: StartApi,
        spec: ServiceSpec,
        dispatchers: Mapping[str, Dispatcher],
        *,
        metrics: Metrics,
        on_change: Callable[[], None],
        patience_s: float,
    ) -> None:
        places = elsewhere(
            {runner: [Place(*place) for place in listed] for runner, listed in start.away.places.items()},
            spec,
        )
        self._on_change = on_change
        self._wanted = frozenset(places)
        self._gauges = {
            runner: metrics.series(Gauge, catalog.REMOTE_WORKERS, spec.name, runner) for runner in places
        }
        self._regions: list[Region] = []
        if not places:
            return
        tls = TlsFiles(*start.away.tls)
        credentials = Credentials(
            token=start.away.token,
            tls=of_api(tls),
            name=tls.name,
            peer=f"api-{start.index} ({os.getpid()}) of {socket.gethostname()}",
        )
        ours = terms_of(
            [runner for runner in spec.runners if runner.name in places], start.target, start.options.title
        )
        match = cast("Match", start.away.match)
        for listed, runners in _grouped(places).items():
            self._regions.append(
                Region(
                    listed,
                    {runner: dispatchers[runner] for runner in runners},
                    credentials=credentials,
                    ours=ours,
                    match=match,
                    on_change=self._changed,
                    patience_s=patience_s,
                )
            )

    def start(self) -> None:
        """Looks for them from now on."""
        for region in self._regions:
            region.start()

    @property
    def complete(self) -> bool:
        """Every runner whose workers are elsewhere has one."""
        return self.runners() >= self._wanted

    def runners(self) -> set[str]:
        """Runners that have a worker."""
        return {runner for region in self._regions for runner in region.workers()}

    def report_stuck(self, worker: str, reason: str) -> bool:
        """Has its container replace a worker; False when it is none of theirs."""
        return any(region.report_stuck(worker, reason) for region in self._regions)

    async def close(self) -> None:
        await asyncio.gather(*(region.close() for region in self._regions))

    def _changed(self) -> None:
        counts = Counter(runner for region in self._regions for runner in region.workers())
        for runner, gauge in self._gauges.items():
            gauge.set(counts[runner])
        self._on_change()


def _grouped(places: Mapping[str, tuple[Place, ...]]) -> dict[tuple[Place, ...], Sequence[str]]:
    """Runners that are looked for at the same places."""
    groups: dict[tuple[Place, ...], list[str]] = {}
    for runner, listed in places.items():
        groups.setdefault(listed, []).append(runner)
    return dict(groups)
