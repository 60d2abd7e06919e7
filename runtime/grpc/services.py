"""All that is called over gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import health, inference, native
from .health import Health
from .inference import Inference
from .management import Management
from .messages import FILES
from .native import Native
from .reflection import SERVICES, Reflection
from .typed.service import TypedService

if TYPE_CHECKING:
    from ..http.serving import Serving
    from .context import Rpc


def rpcs(serving: Serving) -> dict[str, Rpc]:
    """By path, `/inference.GRPCInferenceService/ModelInfer`."""
    typed = TypedService(serving)
    names = [inference.SERVICE, native.SERVICE, health.SERVICE, typed.full_name, *SERVICES]
    return {
        **Inference(serving).rpcs(),
        **Management(serving).rpcs(),
        **Native(serving).rpcs(),
        **typed.rpcs(),
        **Health(serving, names).rpcs(),
        **Reflection(serving, [*FILES, *typed.files()], names).rpcs(),
    }
