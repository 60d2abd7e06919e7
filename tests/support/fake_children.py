"""Children that speak the control protocol and do what a file tells them: `python -m fake_children`.

`$FAKE_CHILDREN` is a JSON file, read at every start: `{"runners": {"forest": 2}, "processes": 1,
"api": "serve", "worker": "serve", "worker forest-0": "exit 3"}`. What a child may be told:

    serve           be ready at once, end when drained; an API process answers connections with its generation
    exit N          end with this code before it is ready
    fail TEXT       answer Failed
    usage TEXT      answer Failed, the user's fault
    hang            never be ready
    stubborn        serve, and ignore Drain and SIGTERM
    mourn           (API) serve, and end when drained and told that a worker has ended
    silent          (API) serve, and answer no Ping
    stuck ID        (API) serve, and report this worker whenever it is named, twice
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from tiffin.runtime.manifest import MethodSpec, RunnerSpec, ServiceSpec, WorkerRange
from tiffin.runtime.supervisor.control import (
    CONTROL_FD,
    Described,
    Drain,
    Drained,
    Draining,
    Failed,
    Gone,
    Message,
    Ping,
    Pong,
    Reader,
    Ready,
    StartApi,
    StartWorker,
    Stuck,
    Workers,
    encode,
)


class Fake:
    def __init__(self) -> None:
        self.orders: dict[str, Any] = json.loads(Path(os.environ["FAKE_CHILDREN"]).read_text())
        self.control = socket.socket(fileno=int(os.environ[CONTROL_FD]))
        self.reader = Reader()
        self.waiting: list[Message] = []

    def send(self, message: Message) -> None:
        self.control.sendall(encode(message))

    def receive(self) -> Message:
        while not self.waiting:
            data = self.control.recv(65536)
            if not data:
                sys.exit(1)
            self.waiting += self.reader.feed(data)
        return self.waiting.pop(0)

    def order(self, kind: str, name: str) -> str:
        return str(self.orders.get(f"{kind} {name}", self.orders.get(kind, "serve")))

    def begin(self, order: str) -> None:
        verb, _, rest = order.partition(" ")
        if verb == "exit":
            sys.exit(int(rest))
        if verb in {"fail", "usage"}:
            self.send(Failed(error=rest, usage=verb == "usage"))
            sys.exit(1)
        if verb == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while verb == "hang":
            self.receive()

    def worker(self, start: StartWorker) -> None:
        order = self.order("worker", f"{start.runner.name}-{start.index}")
        self.begin(order)
        self.send(Ready())
        while not isinstance(self.receive(), Drain) or order == "stubborn":
            pass

    def api(self, start: StartApi) -> None:
        order = self.order("api", f"api-{start.index}")
        self.begin(order)
        if start.spec is None:
            runners = [
                RunnerSpec(
                    name=name,
                    workers=WorkerRange(**workers) if isinstance(workers, dict) else workers,
                    methods={method: MethodSpec() for method in self.orders.get("methods", [])},
                    gpus=self.orders.get("gpus", 0),
                    start_timeout_s=self.orders.get("start_timeout_s", 60.0),
                )
                for name, workers in self.orders.get("runners", {}).items()
            ]
            spec = ServiceSpec(
                name="fake", cls="m:C", runners=runners, processes=self.orders.get("processes", 1)
            )
            self.send(Described(spec=spec))
        listening = [socket.socket(fileno=descriptor) for descriptor in start.listen_fds]
        ready = False
        while True:
            for message in self.waiting:
                if isinstance(message, Workers):
                    if message.all_warm and not ready:
                        ready = True
                        self.send(Ready())
                    for worker in message.workers:
                        if order.startswith("stuck") and worker.id.startswith(order.split()[1]):
                            order = "serve"
                            for _ in range(2):
                                self.send(Stuck(worker=worker.id, reason="told to say so"))
                elif isinstance(message, Ping) and order != "silent":
                    self.send(Pong())
                elif isinstance(message, Drain) and order == "mourn":
                    self.send(Draining())
                elif isinstance(message, Gone if order == "mourn" else Drain) and order != "stubborn":
                    self.send(Draining())
                    self.send(Drained())
                    return
            self.waiting.clear()
            readable, _, _ = select.select([self.control, *(listening if ready else [])], [], [])
            for opened in readable:
                if opened is self.control:
                    self.waiting.append(self.receive())
                    continue
                try:
                    connection, _ = opened.accept()
                except BlockingIOError:
                    continue
                with connection:
                    connection.sendall(f"{start.generation} {os.getpid()}".encode())


def main() -> None:
    fake = Fake()
    start = fake.receive()
    if isinstance(start, StartApi):
        fake.api(start)
    elif isinstance(start, StartWorker):
        fake.worker(start)


if __name__ == "__main__":
    main()
