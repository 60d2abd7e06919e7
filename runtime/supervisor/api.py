"""The place of an API process."""

from __future__ import annotations

from collections.abc import Callable

from ..manifest import ServiceSpec
from .control import Message, ServerOptions, StartApi, StartGate, Target
from .house import House
from .process import Child, Exit
from .slot import Slot


class Api(Slot):
    """Every process in it listens on the same sockets as all the others."""

    kind = "api"

    def __init__(
        self,
        index: int,
        *,
        launch: Callable[[], Child],
        on_up: Callable[[], None],
        on_down: Callable[[Exit, bool], bool],
    ) -> None:
        super().__init__(f"{self.kind}-{index}", launch=launch, on_up=on_up, on_down=on_down)
        self.index = index

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
