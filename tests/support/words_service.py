"""A real service of one api, and the state of an API process that serves it without workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiffin
from tiffin.runtime.http.state import ServerState
from tiffin.runtime.metrics import Metrics
from tiffin.runtime.service.service import service_info
from tiffin.runtime.supervisor.control import ServerOptions


@tiffin.service
class Words:
    """Counts words."""

    @tiffin.api
    async def count(self, text: str) -> int:
        """Counts."""
        return len(text.split())


def words_state(tmp_path: Path, **options: Any) -> ServerState:
    info = service_info(Words)
    return ServerState(
        info=info,
        spec=info.spec(),
        options=ServerOptions(access_log=False, **options),
        instance=Words(),
        dispatchers={},
        metrics=Metrics.open(tmp_path, "api-0", "words"),
        run_folder=tmp_path,
        generation=1,
        ready=True,
    )
