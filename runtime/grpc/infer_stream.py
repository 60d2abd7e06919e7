"""`ModelStreamInfer`: requests and replies on one call, errors among the replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from ...errors import ServingError
from ..auth.tokens import PREDICT
from .call import Call
from .code import Code
from .infer_reply import final
from .messages import message
from .status import CallEndedError, details_of, ended

if TYPE_CHECKING:
    from ..http.problem import Problem
    from ..http.serving import Serving
    from .context import Context
    from .infer_plan import Plan
    from .infer_plans import Plans

ModelStreamInferResponse = message("inference.ModelStreamInferResponse")
AT_A_TIME = 64
"""Requests of one call that are worked on together; the next is read when one is answered."""
_WANTS_FINAL = "triton_enable_empty_final_response"
_WANTS_STATUS = b"triton_grpc_error"


class InferStream:
    """One call of it.

    Replies come in the order of the requests; only those of streaming apis come when they are there.
    """

    def __init__(self, serving: Serving, plans: Plans, context: Context) -> None:
        self._call = Call(serving, context)
        self._plans = plans
        self._context = context
        self._fails = self._call.field(_WANTS_STATUS) == b"true"
        """The first error ends the call, with its status."""
        self._room = asyncio.Semaphore(AT_A_TIME)
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def serve(self, requests: AsyncIterator[bytes]) -> None:
        """Until the caller has said its last and everything is answered."""
        self._context.compress()
        reading = asyncio.ensure_future(self._read(requests))
        stopping = asyncio.ensure_future(self._stop())
        try:
            await asyncio.wait({reading, stopping, self._failed}, return_when=asyncio.FIRST_COMPLETED)
            for each in (self._failed, stopping, reading):
                if each.done():
                    each.result()
        finally:
            reading.cancel()
            stopping.cancel()
            for task in self._tasks:
                task.cancel()
            self._failed.cancel()

    async def _read(self, requests: AsyncIterator[bytes]) -> None:
        before: asyncio.Task[None] | None = None
        async for data in requests:
            await self._room.acquire()
            before = asyncio.create_task(self._answer(data, before))
            self._tasks.add(before)
            before.add_done_callback(self._answered)
            del data
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _stop(self) -> None:
        """Ends the call when the server stops and nothing is in hand: such calls are kept open for long."""
        state = self._call.serving.state
        while not state.draining:
            await state.changes.next().wait()
        while self._tasks:
            await asyncio.wait(self._tasks)
        raise CallEndedError(Code.UNAVAILABLE, "the server is stopping")

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()
        if not task.cancelled() and (error := task.exception()) is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _answer(self, data: bytes, before: asyncio.Task[None] | None) -> None:
        try:
            self._call.check(PREDICT)  # the token may have ended since the call began
        except ServingError as error:
            raise self._call.refused(error) from None
        try:
            plan = self._plans.of(data)
        except ServingError as error:
            report, request_id = self._call.serving.refuse(error, self._context.client, 0.0)
            return await self._write_error(report, request_id, None, before)
        head = self._call.head(plan.route)
        head.decode = plan.asked_in_stream
        prediction = self._call.prediction(head, self._write)
        outcome = await prediction.reply(data)
        if not isinstance(outcome, bytes):
            return await self._write_error(outcome, prediction.context.id, plan, before)
        if not plan.route.stream:
            await _after(before)
            return await self._write(outcome)
        if plan.parameters.get(_WANTS_FINAL) is True:
            await self._write(final(plan.model_name, plan.endpoint.version, plan.id))
        return None

    async def _write_error(
        self,
        report: Problem,
        request_id: str,
        plan: Plan | None,
        before: asyncio.Task[None] | None,
    ) -> None:
        if self._fails:
            raise ended(report, request_id)
        reply = ModelStreamInferResponse(error_message=details_of(report))
        if plan is not None:
            reply.infer_response.model_name = plan.model_name
            reply.infer_response.id = plan.id
        await _after(before)
        await self._write(reply.SerializeToString())

    async def _write(self, message: bytes) -> None:
        async with self._writing:
            await self._context.write(message)


async def _after(before: asyncio.Task[None] | None) -> None:
    if before is not None and not before.done():
        await asyncio.wait({before})
