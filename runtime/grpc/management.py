"""`inference.GRPCInferenceService`, the half that tells and changes things; what it says HTTP says too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import ParseDict

from ..auth.tokens import MANAGE, METRICS, PREDICT
from ..protocols.endpoints import UnknownModelError
from ..protocols.oip import cuda_memory
from ..protocols.oip.health import server_live
from ..protocols.oip.pages import OPEN
from .context import Rpc, Unary
from .inference import SERVICE
from .messages import POOL, rpcs
from .parameters import plain
from .question import Answer, Question

if TYPE_CHECKING:
    from ..http.serving import Serving


class Management:
    """Every RPC of the service but the two that infer."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._told = serving.management
        self._messages = rpcs(SERVICE)

    def rpcs(self) -> dict[str, Rpc]:
        table: tuple[tuple[str, Answer, str], ...] = (
            ("ServerLive", self._server_live, OPEN),
            ("ServerReady", self._server_ready, OPEN),
            ("ModelReady", self._model_ready, PREDICT),
            ("ServerMetadata", self._server_metadata, PREDICT),
            ("ModelMetadata", self._model_metadata, PREDICT),
            ("ModelConfig", self._model_config, PREDICT),
            ("ModelStatistics", self._model_statistics, METRICS),
            ("RepositoryIndex", self._repository_index, PREDICT),
            ("RepositoryModelLoad", self._load, MANAGE),
            ("RepositoryModelUnload", self._unload, MANAGE),
            ("SystemSharedMemoryStatus", self._memory_status, MANAGE),
            ("SystemSharedMemoryRegister", self._memory_register, MANAGE),
            ("SystemSharedMemoryUnregister", self._memory_unregister, MANAGE),
            ("CudaSharedMemoryStatus", self._cuda_status, MANAGE),
            ("CudaSharedMemoryRegister", self._cuda_register, MANAGE),
            ("CudaSharedMemoryUnregister", self._cuda_unregister, MANAGE),
            ("TraceSetting", self._trace_setting, MANAGE),
            ("LogSettings", self._log_settings, MANAGE),
        )
        return {f"/{SERVICE}/{name}": self._rpc(name, answer, scope) for name, answer, scope in table}

    def _rpc(self, name: str, answer: Answer, scope: str) -> Rpc:
        request, _ = self._messages[name]
        return Unary(Question(self._serving, f"/{SERVICE}/{name}", request, answer).serve, scope)

    def _reply(self, name: str, document: Mapping[str, Any]) -> Any:
        """A reply from the object that HTTP writes as JSON; what has no field is left out."""
        reply = self._messages[name][1]()
        return ParseDict(dict(document), reply, ignore_unknown_fields=True, descriptor_pool=POOL)

    # health and facts

    def _server_live(self, _: Any) -> Any:
        return self._reply("ServerLive", server_live())

    def _server_ready(self, _: Any) -> Any:
        return self._reply("ServerReady", {"ready": self._told.server_readiness().ready})

    def _model_ready(self, request: Any) -> Any:
        try:
            ready = self._told.model_readiness(request.name, request.version).ready
        except UnknownModelError:
            ready = False  # callers ask until it is there; over HTTP any other status than 200 says the same
        return self._reply("ModelReady", {"ready": ready})

    def _server_metadata(self, _: Any) -> Any:
        return self._reply("ServerMetadata", self._told.server_metadata())

    def _model_metadata(self, request: Any) -> Any:
        return self._reply("ModelMetadata", self._told.model_metadata(request.name, request.version))

    def _model_config(self, request: Any) -> Any:
        return self._reply("ModelConfig", {"config": self._told.model_config(request.name, request.version)})

    async def _model_statistics(self, request: Any) -> Any:
        return self._reply("ModelStatistics", await self._told.statistics(request.name, request.version))

    # repository

    def _repository_index(self, request: Any) -> Any:
        index = self._told.repository.index(request.repository_name, ready=request.ready)
        return self._reply("RepositoryIndex", {"models": index})

    def _load(self, request: Any) -> Any:
        given = plain(request.parameters)
        self._told.repository.load(request.model_name, given, request.repository_name)
        return self._reply("RepositoryModelLoad", {})

    def _unload(self, request: Any) -> Any:
        given = plain(request.parameters)
        self._told.repository.unload(request.model_name, given, request.repository_name)
        return self._reply("RepositoryModelUnload", {})

    # shared memory

    def _memory_status(self, request: Any) -> Any:
        regions = {region["name"]: region for region in self._told.shared_memory.status(request.name)}
        return self._reply("SystemSharedMemoryStatus", {"regions": regions})

    def _memory_register(self, request: Any) -> Any:
        memory = self._told.shared_memory
        memory.register(request.name, request.key, request.offset, request.byte_size)
        return self._reply("SystemSharedMemoryRegister", {})

    def _memory_unregister(self, request: Any) -> Any:
        self._told.shared_memory.unregister(request.name)
        return self._reply("SystemSharedMemoryUnregister", {})

    def _cuda_status(self, request: Any) -> Any:
        regions = {region["name"]: region for region in cuda_memory.status(request.name)}
        return self._reply("CudaSharedMemoryStatus", {"regions": regions})

    def _cuda_register(self, request: Any) -> Any:
        cuda_memory.register(request.name)
        return self._reply("CudaSharedMemoryRegister", {})

    def _cuda_unregister(self, _: Any) -> Any:
        return self._reply("CudaSharedMemoryUnregister", {})

    # settings

    def _trace_setting(self, request: Any) -> Any:
        wanted = {name: list(setting.value) or None for name, setting in request.settings.items()}
        settings = self._told.change_trace_settings(wanted, request.model_name)
        texts = {name: value if isinstance(value, list) else [value] for name, value in settings.items()}
        return self._reply(
            "TraceSetting", {"settings": {name: {"value": value} for name, value in texts.items()}}
        )

    async def _log_settings(self, request: Any) -> Any:
        settings = await self._told.change_log_settings(plain(request.settings))
        kinds = {bool: "bool_param", int: "uint32_param", str: "string_param"}
        return self._reply(
            "LogSettings",
            {"settings": {name: {kinds[type(value)]: value} for name, value in settings.items()}},
        )
