"""Whatever callers send to the routes that are no predictions, the answer says what is wrong: never 500."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensor_service import Caller

PATHS = (
    "/v2/logging",
    "/v2/trace/setting",
    "/v2/repository/index",
    "/v2/repository/models/tensors.any/load",
    "/v2/repository/models/tensors.any/unload",
    "/v2/systemsharedmemory/region/in/register",
    "/v2/systemsharedmemory/unregister",
    "/v2/cudasharedmemory/region/in/register",
)
KEYS = (
    *("log_file", "log_info", "log_verbose_level", "log_format", "trace_level", "trace_rate", "ready"),
    *("parameters", "config", "unload_dependents", "key", "offset", "byte_size", "raw_handle"),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
BODIES = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), VALUES, max_size=4) | VALUES


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Some bodies do change the settings of this process's log."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


@lru_cache(maxsize=1)
def caller() -> Caller:
    return Caller(client_shm=True)


@pytest.mark.parametrize("path", PATHS)
@given(body=BODIES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20))
def test_any_body(path: str, body: bytes) -> None:
    answer = caller().ask(path, body)
    assert answer.status in (200, 400, 404, 501), answer.body
    told: Any = json.loads(answer.body) if answer.body else {}
    if answer.status != 200:
        assert list(told) == ["error"]
        assert told["error"]


@given(path=st.text(max_size=30), method=st.sampled_from(["GET", "HEAD", "POST", "DELETE", "odd"]))
def test_any_path(path: str, method: str) -> None:
    answer = caller().ask(f"/v2/{path.encode('utf-8', 'replace').decode()}", method=method)
    assert answer.status in (200, 400, 404, 405)
