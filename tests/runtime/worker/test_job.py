from __future__ import annotations

import pytest

from tiffin.errors import InvalidInputError
from tiffin.runtime.worker.job import failure_of

OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch.cuda"})


@pytest.mark.parametrize(
    ("error", "brief"),
    [
        (MemoryError(), "MemoryError"),
        (
            OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB"),
            "OutOfMemoryError: CUDA out of memory.",
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: …"), "RuntimeError: DefaultCPUAllocator"),
    ],
)
def test_every_way_to_say_that_memory_is_short_is_told_as_one(error: Exception, brief: str) -> None:
    told = failure_of(error, 0.5, [1])
    assert (told.type, told.status, told.title) == ("OutOfMemoryError", 503, "Out of memory")
    assert brief in told.message
    assert (told.model_s, told.dropped) == (0.5, [1])


def test_other_errors_stay_what_they_are() -> None:
    assert failure_of(RuntimeError("CUDA error"), 0.0, []).type == "RuntimeError"
    told = failure_of(InvalidInputError("no", path="$.x"), 0.0, [])
    assert (told.type, told.status, told.path) == ("InvalidInputError", 422, "$.x")
