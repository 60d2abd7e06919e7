"""tiffin: from a trained model to a running service.

Everything public hangs here and is imported on first use, so that `import tiffin` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors as errors
    from .bundler import models as models
    from .bundler.build import build as build
    from .bundler.containerize import containerize as containerize
    from .runtime import tasks as tasks
    from .runtime.client.async_client import AsyncClient as AsyncClient
    from .runtime.client.client import Client as Client
    from .runtime.model.model import Model as Model
    from .runtime.model.prepack import prepack as prepack
    from .runtime.schema.file import File as File
    from .runtime.service.api import api as api
    from .runtime.service.batch import batch as batch
    from .runtime.service.context import RequestContext as RequestContext
    from .runtime.service.context import request_context as request_context
    from .runtime.service.hooks import on_ready as on_ready
    from .runtime.service.hooks import on_start as on_start
    from .runtime.service.hooks import on_stop as on_stop
    from .runtime.service.mount import mount as mount
    from .runtime.service.runner import runner as runner
    from .runtime.service.service import service as service
    from .runtime.tag import Tag as Tag

__version__ = "0.1.0"

_HOME_OF = {
    "AsyncClient": "runtime.client.async_client",
    "Client": "runtime.client.client",
    "File": "runtime.schema.file",
    "Model": "runtime.model.model",
    "RequestContext": "runtime.service.context",
    "Tag": "runtime.tag",
    "api": "runtime.service.api",
    "batch": "runtime.service.batch",
    "build": "bundler.build",
    "containerize": "bundler.containerize",
    "load_ipython_extension": "cli.ipython.extension",
    "mount": "runtime.service.mount",
    "on_ready": "runtime.service.hooks",
    "on_start": "runtime.service.hooks",
    "on_stop": "runtime.service.hooks",
    "prepack": "runtime.model.prepack",
    "request_context": "runtime.service.context",
    "runner": "runtime.service.runner",
    "service": "runtime.service.service",
    "unload_ipython_extension": "cli.ipython.extension",
}
_MODULES = {"errors": "errors", "models": "bundler.models", "tasks": "runtime.tasks"}

__all__ = [
    "AsyncClient",
    "Client",
    "File",
    "Model",
    "RequestContext",
    "Tag",
    "__version__",
    "api",
    "batch",
    "build",
    "containerize",
    "errors",
    "models",
    "mount",
    "on_ready",
    "on_start",
    "on_stop",
    "prepack",
    "request_context",
    "runner",
    "service",
    "tasks",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    elif name in _MODULES:
        value = import_module(f".{_MODULES[name]}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
