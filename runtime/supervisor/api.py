"""The place of an API process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ..manifest import ServiceSpec
from .control import Message, ServerOptions, StartApi, StartGate, Target
from .house import House
from .process import Child, Exit
from .pulse import Pulse
from .slot import Slot

logger = logging.getLogger("tiffin.supervisor")


class Api(Slot):
    """Every process in it listens on the same sockets as all the others.

    Args:
        pulse: ends a process whose event loop stands still; None: nobody does.
    """

    kind = "api"

    def __init__(
        self,
        index: int,
        *,
        launch: Callable[[], Child],
        on_up: Callable[[], None],
        on_down: Callable[[Exit, bool], bool],
        pulse: Pulse | None = None,
    ) -> None:
        self.index = index
        self._pulse = pulse
        super().__init__(f"{self.kind}-{index}", launch=launch, on_up=on_up, on_down=on_down)

    async def _until_end(self, child: Child) -> Exit:
        if self._pulse is None:
            return await super()._until_end(child)
        watching = asyncio.create_task(self._end_when_silent(child, self._pulse))
        try:
            return await super()._until_end(child)
        finally:
            watching.cancel()

    def heard(self, child: Child) -> None:
        """The child has answered a `Ping`."""
        if self._pulse is not None and child is self.child:
            self._pulse.heard()

    async def _end_when_silent(self, child: Child, pulse: Pulse) -> None:
        """From when it is ready: what it does before, it does for as long as it takes.

        Until it is told to end: that has a limit of its own.
        """
        await self._ready.wait()
        silent_s = await pulse.until_silent(child)
        if child.alive and not self.stopping:
            logger.error(
                "%s is stopped, or the service blocks its event loop: not a word for %g s; it is killed",
                self.name,
                silent_s,
                extra={"pid": child.pid},
            )
            child.kill("stuck")

    def spawn(
        self,
        house: House,
        target: Target,
        options: ServerOptions,
        on_message: Callable[[Child, Message], None],
        *,
        spec: ServiceSpec | None,
        generation: int,
    ) -> Child:
        """Starts a process; `spec` None: it has to tell what the service is."""
        child = house.spawn_api(self.name, target.bundle, on_message)
        child.send(
            StartApi(
                target=target,
                options=options,
                spec=spec,
                listen_fds=house.listen_fds,
                run_folder=str(house.path),
                generation=generation,
                index=self.index,
                away=house.away,
            )
        )
        return child


class Gate(Api):
    """The place of a gate: what a worker container has instead of API processes."""

    kind = "gate"

    def spawn(
        self,
        house: House,
        target: Target,
        options: ServerOptions,
        on_message: Callable[[Child, Message], None],
        *,
        spec: ServiceSpec | None,
        generation: int,
    ) -> Child:
        child = house.spawn_gate(self.name, target.bundle, on_message)
        child.send(
            StartGate(
                target=target,
                options=options,
                spec=spec,
                runners=list(house.apart.runners),
                listen_fds=house.listen_fds,
                gate_fds=house.gate_fds,
                run_folder=str(house.path),
                generation=generation,
                index=self.index,
                token=house.apart.token,
                tls=house.tls,
            )
        )
        return child
