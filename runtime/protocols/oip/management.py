"""What the protocol says and does besides inference, without HTTP or gRPC: both doors tell the same.

Answers are plain objects in the words of the protocol; errors are those of `errors.py`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ...metrics import snapshot
from .config import model_config
from .health import Readiness, model_readiness, server_readiness
from .log_settings import WORD, LogSettings, Settings
from .metadata import model_metadata, server_metadata
from .repository import Repository
from .shared_memory import SharedMemory
from .statistics import labels_of, model_statistics
from .trace_settings import change_trace_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...http.serving import Serving


class Management:
    """One for each API process.

    Attributes:
        shared_memory: register, unregister, status of callers' memory.
        repository: index, load, unload.

    Args:
        serving: its `peers` pass on that log settings have changed.
    """

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._state = state = serving.state
        self._endpoints = serving.endpoints
        self.shared_memory = SharedMemory(
            state.run_folder,
            allowed=state.options.client_shm,
            limit_bytes=max((endpoint.max_body_bytes for endpoint in serving.endpoints.all), default=0),
        )
        self.repository = Repository(state, serving.endpoints)
        self._log = LogSettings(
            state.run_folder,
            Settings.of(state.options.log_format, state.options.log_level),
            self._write_access_log_as,
        )
        serving.peers.on_word[WORD] = self._log.heed

    def server_metadata(self) -> dict[str, Any]:
        return server_metadata(self._state.options)

    def server_readiness(self) -> Readiness:
        return server_readiness(self._state)

    def model_readiness(self, name: str, version: str = "") -> Readiness:
        """Raises UnknownModelError, as all that name a model do."""
        return model_readiness(self._state, self._endpoints.find(name, version))

    def model_metadata(self, name: str, version: str = "") -> dict[str, Any]:
        return model_metadata(self._endpoints.find(name, version))

    def model_config(self, name: str, version: str = "") -> dict[str, Any]:
        endpoint = self._endpoints.find(name, version)
        runners = self._state.spec.runners if endpoint.runner is None else [endpoint.runner]
        return model_config(endpoint, runners, self._state.dispatchers)

    async def statistics(self, name: str = "", version: str = "") -> dict[str, Any]:
        """`{"model_stats": […]}` of one model or of all, over all API processes."""
        found = [self._endpoints.find(name, version)] if name else self._endpoints.all
        table = await asyncio.to_thread(snapshot.read, self._state.run_folder)
        routes = self._serving.table.by_path
        return {
            "model_stats": [
                model_statistics(table, each, labels_of(each, self._endpoints.all, routes, table))
                for each in found
            ]
        }

    def change_trace_settings(self, wanted: Mapping[str, Any], name: str = "") -> dict[str, Any]:
        """All settings; raises UnsupportedError for every change.

        Args:
            wanted: setting to value; empty: to read them.
            name: of a model; empty: of all.
        """
        if name:
            self._endpoints.find(name)
        return change_trace_settings(wanted)

    async def change_log_settings(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """All settings, after a change in every API process; one that is busy follows when it listens again.

        Args:
            wanted: setting to value; empty: to read them.

        Raises:
            InvalidInputError, UnsupportedError: nothing was changed.
        """
        settings = self._log.change(wanted)
        if wanted:
            await self._serving.peers.ask(WORD)
        return settings

    def _write_access_log_as(self, form: str) -> None:
        log = self._serving.ledger.log
        if log is not None:
            log.json = form == "json"
