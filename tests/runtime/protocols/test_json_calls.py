"""Several calls of one request."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from tiffin.errors import InferenceError
from tiffin.runtime.protocols.json_calls import JsonCalls


def test_one_that_wants_to_end_the_process_fails_its_request() -> None:
    async def api(x: int) -> int:
        await asyncio.sleep(0)
        if x == 2:
            raise KeyboardInterrupt("two")
        return x

    async def main() -> None:
        calls = JsonCalls.__new__(JsonCalls)
        calls.endpoint = SimpleNamespace(call=api, is_async=True)  # type: ignore[assignment]
        with pytest.raises(InferenceError, match="two") as caught:
            await calls([{"x": 1}, {"x": 2}, {"x": 3}])
        assert caught.value.remote_type == "KeyboardInterrupt"

    asyncio.run(main())
