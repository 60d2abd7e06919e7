"""A worker's place in a generation, and how a process comes into it."""

from __future__ import annotations

from collections.abc import Callable

from ..manifest import RunnerSpec
from .control import Message, ServerOptions, StartWorker, Target, WorkerAddress
from .house import House
from .plan import worker_environ
from .process import Child, Exit
from .slot import Slot

OnMessage = Callable[[Child, Message], None]


class Worker(Slot):
    """Every process in it has an id and a socket of its own."""

    def __init__(
        self,
        runner: RunnerSpec,
        index: int,
        *,
        threads: int,
        devices: tuple[str, ...],
        launch: Callable[[], Child],
        on_up: Callable[[], None],
        on_down: Callable[[Exit, bool], bool],
    ) -> None:
        super().__init__(
            f"{runner.name}-{index}",
            launch=launch,
            on_up=on_up,
            on_down=on_down,
            start_timeout_s=runner.start_timeout_s,
        )
        self.runner = runner
        self.index = index
        self.threads = threads
        self.devices = devices
        self.id = ""
        self.address = ""

    def told(self) -> WorkerAddress:
        """As API processes are told of it."""
        return WorkerAddress(id=self.id, runner=self.runner.name, address=self.address)

    def spawn(self, house: House, target: Target, options: ServerOptions, on_message: OnMessage) -> Child:
        """Starts a process.

        Raises:
            OSError: the system cannot.
        """
        number = next(house.spawns)
        self.id = f"{self.name}-{number}"
        self.address = house.run_folder.socket_path(number)
        environ = worker_environ(self.threads, self.devices)
        child = house.spawn_worker(self.name, target.bundle, environ, on_message)
        child.send(
            StartWorker(
                target=target,
                options=options,
                runner=self.runner,
                address=self.address,
                run_folder=str(house.path),
                index=self.index,
                gated=house.apart.role == "worker",
            )
        )
        return child
