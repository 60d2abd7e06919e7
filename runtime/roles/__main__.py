"""`python -m tiffin.runtime.roles`: the gate of a worker container, started by its supervisor."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from typing import Any

from ..server.child import child
from ..server.control import Control
from ..service.load import load_service
from ..supervisor.control import Described, StartGate
from .gate_process import GateProcess


def serve(control: Control, start: StartGate) -> Coroutine[Any, Any, int]:
    spec = start.spec
    if spec is None:  # no bundle: the service has to be imported to know
        from ..service.service import service_info

        spec = service_info(load_service(start.target)).spec()
        control.send(Described(spec=spec))
    return GateProcess(control, start, spec).serve()


if __name__ == "__main__":
    sys.exit(child("gate", StartGate, serve))
