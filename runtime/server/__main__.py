"""`python -m tiffin.runtime.server`: one API process, started by the supervisor.

The service is imported first: the supervisor waits for its description to start the workers, and the HTTP
stack is imported while they load.
"""

from __future__ import annotations

import signal
import sys

from .. import logs
from ..service.load import load_service
from ..service.service import service_info
from ..supervisor.control import Described, StartApi
from ..supervisor.failure import failure
from ..supervisor.orphan import end_with_parent
from .control import Control


def main() -> int:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    control = Control.inherited()
    start = control.receive()
    if not isinstance(start, StartApi):
        raise TypeError(f"expected StartApi, got {type(start).__name__}")
    logs.take_over(start.options.log_format, start.options.log_level, f"api-{start.index}")
    try:
        info = service_info(load_service(start.target))
        spec = start.spec
        if spec is None:
            spec = info.spec()
            control.send(Described(spec=spec))
        from .loop import run
        from .process import ApiProcess

        return run(ApiProcess(control, start, info, spec).serve())
    except EOFError:
        return 1
    except BaseException as error:  # noqa: BLE001 - user code; one that calls sys.exit fails to start as well
        control.send(failure(error, start.target.source))
        return 1


if __name__ == "__main__":
    sys.exit(main())
