"""Whatever is sent is served or refused: no exception but RequestError, and nothing that takes long.

`Prediction` turns a RequestError into its own status; any other exception would be a 500.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensor_service import Caller, endpoint

from tiffin.errors import RequestError
from tiffin.runtime.http.dialect import Asked
from tiffin.runtime.protocols.datatypes import DATATYPES
from tiffin.runtime.protocols.oip.infer import Infer

APIS = ("float32", "any", "open", "bool", "texts", "scores", "scalars", "greet", "content", "rows", "add")
REGIONS: Any = None
INFER = {name: Infer(endpoint(name), REGIONS) for name in APIS}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
sizes = st.integers(-2, 6) | st.sampled_from([0, 0, 2**31, 2**62, 2**63, 10**30])
parameters = st.dictionaries(
    st.sampled_from(
        [
            "binary_data_size",
            "binary_data",
            "binary_data_output",
            "classification",
            "timeout",
            "scale",
            "loud",
            "number",
            "text",
            "greeting",
        ]
    ),
    anything | sizes,
    max_size=3,
)
names = st.sampled_from(["x", "a", "b", "texts", "loud", "person", "data", "rows", "number", "scale", "?"])
inputs = st.fixed_dictionaries(
    {
        "name": names | anything,
        "datatype": st.sampled_from(DATATYPES) | anything,
        "shape": st.lists(sizes, max_size=4) | anything,
    },
    optional={
        "data": st.lists(
            st.integers(-300, 300) | st.floats() | st.booleans() | st.text(max_size=3), max_size=8
        )
        | st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=4)
        | anything,
        "parameters": parameters | anything,
    },
)
outputs = st.fixed_dictionaries(
    {"name": st.sampled_from(["output", "scores", "best", "words", "?"]) | anything},
    optional={"parameters": parameters | anything},
)
requests = st.fixed_dictionaries(
    {"inputs": st.lists(inputs, max_size=3) | anything},
    optional={
        "id": st.text(max_size=4) | anything,
        "parameters": parameters | anything,
        "outputs": st.lists(outputs, max_size=3) | anything,
    },
)


def served(asked: Any) -> None:
    assert isinstance(asked, Asked)
    assert isinstance(asked.arguments, dict)


@given(st.sampled_from(APIS), requests)
def test_random_json_of_requests(api: str, document: dict[str, Any]) -> None:
    try:
        served(INFER[api].json(json.dumps(document).encode("utf-8", "surrogatepass")))
    except RequestError as error:
        assert str(error)


@given(st.sampled_from(APIS), st.binary(max_size=200) | anything.map(json.dumps).map(str.encode))
def test_random_bodies(api: str, body: bytes) -> None:
    with pytest.raises(RequestError):
        INFER[api].json(body)


@given(
    st.sampled_from(APIS),
    requests,
    st.binary(max_size=64),
    st.integers(0, 300) | st.none(),
)
def test_random_framing(api: str, document: dict[str, Any], content: bytes, length: int | None) -> None:
    text = json.dumps(document).encode("utf-8", "surrogatepass")
    body = text + content
    try:
        served(INFER[api].binary(body, len(text) if length is None else length))
    except RequestError as error:
        assert str(error)


@given(st.sampled_from(APIS), st.binary(max_size=100))
def test_random_raw_bodies(api: str, content: bytes) -> None:
    try:
        served(INFER[api].raw(content))
    except RequestError as error:
        assert str(error)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.sampled_from([name for name in DATATYPES if name not in ("BYTES", "BF16", "BOOL")]),
    st.data(),
)
def test_right_framing_is_served_and_comes_back(shape: list[int], datatype: str, data: st.DataObject) -> None:
    from tiffin.runtime.protocols.datatypes import DTYPES

    count = int(np.prod(shape))
    size = count * DTYPES[datatype].itemsize
    content = data.draw(st.binary(min_size=size, max_size=size))
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "x",
                    "datatype": datatype,
                    "shape": shape,
                    "parameters": {"binary_data_size": size},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    asked = INFER["any"].binary(head + content, len(head))
    written = asked.write(asked.arguments["x"])
    ((_, length),) = written.headers
    assert bytes(written.body)[int(length) :] == content


@given(
    st.lists(st.floats(width=32), min_size=1, max_size=40),
    st.booleans(),
    st.sampled_from([None, ",", ", "]),
)
def test_numbers_in_json_come_back(values: list[float], nested: bool, space: str | None) -> None:
    array = np.array(values, np.float32)
    data = [[value] for value in array.tolist()] if nested else array.tolist()
    tensor = {"name": "x", "datatype": "FP32", "shape": [len(values)], "data": data}
    body = json.dumps({"inputs": [tensor]}, separators=None if space is None else (space, ":")).encode()
    for _ in range(2):  # the second time it is known
        asked = INFER["any"].json(body)
        np.testing.assert_array_equal(asked.arguments["x"], array)
    answer = json.loads(bytes(asked.write(asked.arguments["x"]).body))
    np.testing.assert_array_equal(np.array(answer["outputs"][0]["data"], np.float32), array)


CALLER = Caller()
texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


@given(
    requests.map(json.dumps).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(["0", "1", "2", "-1", "99999999999999999999", ""]) | texts | st.integers(0, 300).map(str),
    st.sampled_from(["", "gzip", "deflate", "identity"]) | texts,
    st.sampled_from(["gzip", "deflate;q=0.5, gzip;q=x", "*", "identity;q=0"]) | texts,
)
def test_random_headers_over_http(body: bytes, length: str, coding: str, accepted: str) -> None:
    headers = {"inference_header_content_length": length, "accept_encoding": accepted}
    if coding:
        headers["content_encoding"] = coding
    answer = CALLER.ask("/v2/models/tensors.any/infer", body, **headers)
    assert answer.status in (200, 400, 413, 501)
    if answer.status != 200:
        assert list(json.loads(answer.body)) == ["error"]


@given(st.lists(st.sampled_from(range(4)), min_size=2, max_size=6))
def test_requests_that_look_alike_are_told_apart(turns: list[int]) -> None:
    """One is remembered by what stands around its data: none of these may be read as another."""
    bodies = [
        b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}]}',
        b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[2],"data":[3]}]}',
        b'{"parameters":{"data":[5]},"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data" :[5]}]}',
        b'{"parameters":{"data":[6]},"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data" :[5]}]}',
    ]
    infer = Infer(endpoint("any"), REGIONS)
    for turn in turns:
        value = infer.json(bodies[turn]).arguments["x"].tolist()
        assert value == [[1.0], [3.0], [5.0], [5.0]][turn]
