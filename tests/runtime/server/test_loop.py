"""The event loop of a child process."""

from __future__ import annotations

import asyncio

import pytest

from tiffin.runtime.server.loop import run
from tiffin.runtime.server.unseen import unseen


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_task_that_wants_to_end_the_process_ends_itself_only(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def leave() -> None:
        raise kind

    async def other() -> int:
        for _ in range(3):
            await asyncio.sleep(0.001)
        return 3

    async def main() -> int:
        beside = asyncio.create_task(other())
        leaving = [asyncio.create_task(leave()) for _ in range(2)]
        await asyncio.wait([beside, *leaving])
        assert [type(task.exception()) for task in leaving] == [kind, kind]
        return beside.result() + 4

    assert run(main()) == 7
    assert {record.exc_info and record.exc_info[0] for record in caplog.records} == {kind}


def test_what_the_process_itself_raises_ends_it() -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        raise SystemExit(5)

    with pytest.raises(SystemExit) as caught:
        run(main())
    assert caught.value.code == 5


def test_a_service_that_stops_the_loop_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> int:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.001)
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)
        await asyncio.sleep(0.001)
        return 3

    assert run(main()) == 3
    assert [record.message for record in caplog.records] == [
        "the service stopped the event loop, which goes on"
    ] * 2


def test_an_error_of_the_process_itself_is_no_stopped_loop() -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        raise RuntimeError("its own")

    with pytest.raises(RuntimeError, match="its own"):
        run(main())


def test_the_processs_own_task_is_not_among_those_that_a_service_cancels() -> None:
    async def cancel_all() -> None:
        for task in asyncio.all_tasks():
            task.cancel()
        await asyncio.sleep(0)

    async def main() -> int:
        kept = unseen(asyncio.create_task(asyncio.sleep(0.01, 3)))
        beside = asyncio.create_task(asyncio.sleep(60))
        cancelling = asyncio.create_task(cancel_all())
        await asyncio.wait([beside, cancelling])
        assert beside.cancelled()
        assert cancelling.cancelled()
        return await kept + 4

    assert run(main()) == 7
