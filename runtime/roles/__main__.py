"""`python -m tiffin.runtime.roles`: the gate of a worker container, started by its supervisor."""

from __future__ import annotations

import signal
import sys

from .. import logs
from ..server.control import Control
from ..server.loop import run
from ..service.load import load_service
from ..supervisor.control import Described, StartGate
from ..supervisor.failure import failure
from ..supervisor.orphan import end_with_parent
from .gate_process import GateProcess


def main() -> int:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    control = Control.inherited()
    start = control.receive()
    if not isinstance(start, StartGate):
        raise TypeError(f"expected StartGate, got {type(start).__name__}")
    logs.take_over(start.options.log_format, start.options.log_level, f"gate-{start.index}")
    try:
        spec = start.spec
        if spec is None:  # no bundle: the service has to be imported to know
            from ..service.service import service_info

            spec = service_info(load_service(start.target)).spec()
            control.send(Described(spec=spec))
        return run(GateProcess(control, start, spec).serve())
    except EOFError:
        return 1
    except BaseException as error:  # noqa: BLE001 - user code; one that calls sys.exit fails to start as well
        control.send(failure(error, start.target.source))
        return 1


if __name__ == "__main__":
    sys.exit(main())
