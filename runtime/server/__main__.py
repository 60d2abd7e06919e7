"""`python -m tiffin.runtime.server`: one API process, started by the supervisor.

The service is imported first: the supervisor waits for its description to start the workers, and the HTTP
stack is imported while they load.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from typing import Any

from ..service.load import load_service
from ..service.service import service_info
from ..supervisor.control import Described, StartApi
from .child import child
from .control import Control


def serve(control: Control, start: StartApi) -> Coroutine[Any, Any, int]:
    info = service_info(load_service(start.target))
    spec = start.spec
    if spec is None:
        spec = info.spec()
        control.send(Described(spec=spec))
    from .process import ApiProcess

    return ApiProcess(control, start, info, spec).serve()


if __name__ == "__main__":
    sys.exit(child("api", StartApi, serve))
