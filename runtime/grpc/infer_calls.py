"""`ModelInfer`: what its calls share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..protocols.oip.unsupported import UnsupportedError
from .call import METHOD
from .infer_call import InferCall

if TYPE_CHECKING:
    from ..http.head import Head
    from ..http.serving import Serving
    from ..http2.stream import Stream
    from .call_head import CallHead
    from .door import GrpcDoor
    from .infer_plan import Plan
    from .infer_plans import Plans

_KNOWN = 64
"""Plans of one call head whose heads are kept."""


class InferCalls:
    def __init__(self, serving: Serving, plans: Plans) -> None:
        self.serving = serving
        self._plans = plans

    def open(self, door: GrpcDoor, stream: Stream, head: CallHead) -> InferCall:
        return InferCall(self, door, stream, head)

    def head(self, call_head: CallHead, message: bytes) -> Head:
        """What the fields and the message say together, worked out once for calls that have both alike.

        Raises:
            ServingError: nothing can be made of the message.
        """
        plan = self._plans.of(message)
        known = call_head.kept.get(plan)
        if known is not None:
            return known  # type: ignore[no-any-return]
        if plan.route.stream:
            raise UnsupportedError(f"{plan.route.name} answers with a stream: call ModelStreamInfer")
        head = self._made(call_head, plan)
        if plan.lasting:
            if len(call_head.kept) >= _KNOWN:
                call_head.kept.clear()
            call_head.kept[plan] = head
        return head

    @staticmethod
    def _made(call_head: CallHead, plan: Plan) -> Head:
        head = plan.route.dialect.head(plan.route, b"POST", call_head.metadata, "")
        head.method_text = METHOD
        head.decode = plan.asked
        if call_head.timeout_s is not None:
            head.timeout_s = min(head.timeout_s, max(call_head.timeout_s, 0.001))
        return head
