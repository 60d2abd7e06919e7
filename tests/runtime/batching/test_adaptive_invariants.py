"""Whatever a driver does, the policy gives answers that can be carried out, and never holds for ever."""

from __future__ import annotations

from math import inf, isnan, nan

from hypothesis import given, settings
from hypothesis import strategies as st

from tiffin.benchmarks.batching.simulator import Request, SimulatedQueue
from tiffin.runtime.batching.policy import AdaptivePolicy

STEP = st.tuples(
    st.sampled_from(["arrive", "arrive", "arrive", "complete", "cancel", "decide", "decide", "workers"]),
    st.sampled_from([0.0, 0.0, 1e-5, 3e-4, 2e-3, 0.05, 0.3, 20.0, -1e-6, -1e-3]),  # time that passes before
    st.sampled_from([0, *range(1, 41), 10**9]),
    st.sampled_from([0.0, 1e-6, 2e-4, 3e-3, 0.08, 5.0, -1.0, inf, nan]),  # service time
    st.integers(-1, 5),  # idle
)


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(STEP, max_size=120),
    max_rows=st.sampled_from([1, 2, 7, 64, 300]),
    scale=st.sampled_from([1, 1, 37]),
    limit=st.sampled_from([0.0, 1e-4, 0.1, inf]),
    workers=st.integers(1, 4),
)
def test_answers_make_sense_whatever_happens(
    steps: list[tuple[str, float, int, float, int]], max_rows: int, scale: int, limit: float, workers: int
) -> None:
    policy = AdaptivePolicy(max_rows * scale, limit, workers)
    queue = SimulatedQueue()
    now = 1e6
    for what, passes, rows, service_s, idle in steps:
        now += passes
        if what == "arrive":
            size = rows if scale > 1 else 1 + min(rows, 40) // 35
            if policy.on_arrival(now, size):
                queue.append(Request(now, size, 0))
        elif what == "complete":
            policy.on_complete(now, rows * scale, service_s)
        elif what == "cancel" and queue.requests:
            policy.on_cancel(now, queue.popleft().rows)
        elif what == "workers":
            policy.workers = rows % 4
        elif what == "decide":
            _decide_until_rest(policy, queue, now, idle, max_rows * scale, limit)
    while queue.requests:  # left alone with an idle worker, everybody leaves in time
        before = len(queue)
        rest = _decide_until_rest(policy, queue, now, 1, max_rows * scale, limit)
        if len(queue) == before:
            assert rest is not None
            assert rest > now
            assert limit == inf or rest <= queue[0].arrival + limit + 1e-3
            now = rest
    explained = policy.explain()
    assert not isnan(explained["spread"])
    assert all(0 <= row["seconds"] < inf for row in explained["service_s"])


def _decide_until_rest(
    policy: AdaptivePolicy, queue: SimulatedQueue, now: float, idle: int, max_rows: int, limit: float
) -> float | None:
    while queue.requests:
        decision = policy.decide(now, queue, idle)
        assert not (decision.shed and decision.dispatch)
        if decision.shed:
            assert 0 < decision.shed <= len(queue)
            assert limit < inf
        elif decision.dispatch:
            assert idle > 0
            assert decision.dispatch <= len(queue)
            rows = sum(queue[place].rows for place in range(decision.dispatch))
            assert decision.dispatch == 1 or rows <= max_rows
            assert decision.reason
            idle -= 1
        else:
            assert idle <= 0 or decision.wake_at is not None
            return decision.wake_at
        for _ in range(decision.shed or decision.dispatch):
            queue.popleft()
    return None


def test_a_request_above_the_cap_goes_alone() -> None:
    policy = AdaptivePolicy(100, 0.1, 1)
    queue = SimulatedQueue()
    for rows in (250, 10, 10):
        assert policy.on_arrival(0.0, rows)
        queue.append(Request(0.0, rows, 0))
    assert policy.decide(0.0, queue, 1).dispatch == 1
    queue.popleft()
    assert policy.decide(0.0, queue, 1).dispatch == 2


def test_an_empty_queue_asks_for_nothing() -> None:
    policy = AdaptivePolicy(64, 0.1, 1)
    assert policy.decide(0.0, SimulatedQueue(), 1)[:3] == (0, 0, None)


def test_a_lost_count_of_waiting_rows_does_not_refuse_for_ever() -> None:
    policy = AdaptivePolicy(4, 0.1, 1)
    for batch in range(20):
        policy.on_complete(0.03 * batch, 4, 0.03)
    for _ in range(50):  # a driver that forgets to say that they left
        policy.on_arrival(1.0, 1)
    assert not policy.on_arrival(1.0, 1)
    assert policy.on_arrival(2.0, 1)
