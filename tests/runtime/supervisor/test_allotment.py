"""Who gets which device, before anything starts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import ServerError
from tiffin.runtime.supervisor.allotment import Allotment, Demand
from tiffin.runtime.supervisor.gpu import Gpu
from tiffin.runtime.supervisor.gpus import Gpus


def empty(*ids: str) -> Allotment:
    return Allotment(Gpus(tuple(map(Gpu, ids)), "all of this machine's"))


def test_whole_devices_are_given_once() -> None:
    given = empty("0", "1", "2").give([Demand("a", 1, 2), Demand("b", 0, 3), Demand("c", 1, 1)])
    assert given.of("a") == [("0",), ("1",)]
    assert given.of("b") == [(), (), ()]
    assert given.of("c") == [("2",)]
    assert given.of("nobody") == []


def test_several_devices_a_worker() -> None:
    assert empty("0", "1", "2", "3").give([Demand("a", 2, 2)]).of("a") == [("0", "1"), ("2", "3")]


def test_shares_fill_one_device_before_the_next() -> None:
    given = empty("0", "1").give([Demand("small", 0.25, 3), Demand("large", 0.5, 2), Demand("whole", 0, 1)])
    assert given.of("large") == [("0",), ("0",)]
    assert given.of("small") == [("1",), ("1",), ("1",)]


def test_tenths_fill_a_device_exactly() -> None:
    given = empty("0").give([Demand("a", 0.1, 10)])
    with pytest.raises(ServerError):
        given.give([Demand("b", 0.1, 1)])


def test_whole_devices_are_not_shared() -> None:
    with pytest.raises(ServerError, match=r"need 1\.5 GPUs \(a 1 × 1, b 1 × 0\.5\), here are 1: 0 "):
        empty("0").give([Demand("a", 1, 1), Demand("b", 0.5, 1)])


def test_more_than_there_is_says_who_wants_what_and_what_there_is() -> None:
    gpus = Gpus((Gpu("GPU-aaaa", "NVIDIA H200"),), "CUDA_VISIBLE_DEVICES is 'GPU-aaaa'")
    with pytest.raises(ServerError) as caught:
        Allotment(gpus).give([Demand("net", 2, 3), Demand("tree", 0, 2)])
    assert str(caught.value) == (
        "the workers need 6 GPUs (net 3 × 2), here are 1: GPU-aaaa (NVIDIA H200) "
        "(CUDA_VISIBLE_DEVICES is 'GPU-aaaa'); use fewer workers or gpus, or make more devices visible "
        "(CUDA_VISIBLE_DEVICES)"
    )


def test_shares_that_would_fit_only_in_pieces() -> None:
    with pytest.raises(ServerError, match="a share lies on one device"):
        empty("0", "1").give([Demand("a", 0.6, 3)])


def test_a_process_sees_one_mig_instance() -> None:
    assert empty("MIG-a", "MIG-b").give([Demand("a", 1, 2)]).of("a") == [("MIG-a",), ("MIG-b",)]
    with pytest.raises(ServerError, match="one MIG instance only"):
        empty("MIG-a", "MIG-b").give([Demand("a", 2, 1)])


def test_who_stays_keeps_its_devices() -> None:
    first = empty("0", "1", "2").give([Demand("a", 1, 2), Demand("b", 1, 1)])
    second = first.give([Demand("a", 1, 1), Demand("b", 1, 2)])
    assert (second.of("a"), second.of("b")) == ([("0",)], [("2",), ("1",)])
    assert first.of("a") == [("0",), ("1",)], "the first is as it was"


def test_more_for_one_while_others_hold_theirs() -> None:
    given = empty("0", "1").give([Demand("a", 1, 1), Demand("b", 1, 1)])
    with pytest.raises(ServerError, match=r"need 2 GPUs \(a 2 × 1\) beside the other runners, here are 2"):
        given.give([Demand("a", 1, 2)])


_demand = st.tuples(
    st.sampled_from("abc"), st.sampled_from([0, 0.01, 0.1, 0.3, 0.5, 0.9, 1, 2]), st.integers(0, 5)
)


@given(st.integers(0, 4), st.lists(st.lists(_demand, max_size=3, unique_by=lambda one: one[0]), max_size=5))
def test_no_device_is_ever_given_beyond_its_whole(
    count: int, rounds: list[list[tuple[str, float, int]]]
) -> None:
    allotment = empty(*map(str, range(count)))
    shares: dict[str, float] = {}
    for wanted in rounds:
        demands = [
            Demand(runner, shares.setdefault(runner, gpus), workers) for runner, gpus, workers in wanted
        ]
        before = {demand.runner: allotment.of(demand.runner) for demand in demands}
        try:
            allotment = allotment.give(demands)
        except ServerError:
            assert {demand.runner: allotment.of(demand.runner) for demand in demands} == before
            continue
        used: dict[str, float] = {}
        for runner, share in shares.items():
            for devices in allotment.of(runner):
                assert len(set(devices)) == len(devices) == (0 if not share else max(1, int(share)))
                for device in devices:
                    used[device] = used.get(device, 0.0) + min(share, 1.0)
        assert all(total <= 1 + 1e-9 for total in used.values())
        for demand in demands:
            kept = min(len(before[demand.runner]), demand.workers)
            assert allotment.of(demand.runner)[:kept] == before[demand.runner][:kept]
