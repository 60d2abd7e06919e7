"""`inference.GRPCInferenceService`, the half that computes: ModelInfer and ModelStreamInfer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from ..auth.tokens import PREDICT
from .context import BothStreams, Direct, Rpc
from .infer_calls import InferCalls
from .infer_plans import Plans
from .infer_stream import InferStream

if TYPE_CHECKING:
    from ..http.serving import Serving
    from .context import Context

SERVICE = "inference.GRPCInferenceService"
MODEL_INFER = f"/{SERVICE}/ModelInfer"


class Inference:
    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._plans = Plans(serving, MODEL_INFER)

    def rpcs(self) -> dict[str, Rpc]:
        return {
            MODEL_INFER: Direct(InferCalls(self._serving, self._plans).open, PREDICT),
            f"/{SERVICE}/ModelStreamInfer": BothStreams(self._stream, PREDICT),
        }

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> None:
        await InferStream(self._serving, self._plans, context).serve(requests)
