"""Inference requests in JSON: what is taken, what comes back, and what is refused with which words."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from tensor_service import Caller


@pytest.fixture(scope="module")
def caller() -> Caller:
    return Caller()


def tensor(name: str, datatype: str, shape: list[int], data: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def infer(caller: Caller, api: str, *inputs: dict[str, Any], **more: Any) -> tuple[int, Any]:
    body = json.dumps({"inputs": list(inputs), **more}).encode()
    answer = caller.ask(f"/v2/models/tensors.{api}/infer", body)
    assert answer.headers["content-type"] == "application/json"
    return answer.status, json.loads(answer.body)


ROW = [1.0, 2.0, 3.0, 0.1]


@pytest.mark.parametrize("data", [ROW, [ROW], [[[value] for value in ROW]]])
def test_flat_and_nested_data_are_the_same(caller: Caller, data: Any) -> None:
    status, answer = infer(caller, "float32", tensor("x", "FP32", [1, 4], data))
    assert status == 200
    assert answer == {
        "model_name": "tensors.float32",
        "model_version": "1",
        "outputs": [
            {
                "name": "output",
                "datatype": "FP32",
                "shape": [1, 4],
                "data": [1.0, 2.0, 3.0, 0.10000000149011612],
            }
        ],
    }


def test_the_id_comes_back_and_a_version_may_be_named(caller: Caller) -> None:
    body = {"id": "é 7", "inputs": [tensor("x", "FP32", [1, 4], ROW)]}
    path = "/v2/models/tensors.float32/versions/1/infer"
    answer = json.loads(caller.ask(path, json.dumps(body).encode()).body)
    assert (answer["id"], answer["model_version"]) == ("é 7", "1")


def test_the_same_request_again_with_other_data_is_read_anew(caller: Caller) -> None:
    for number in (1.0, 2.0, 3.0):
        row = [number] * 4
        assert infer(caller, "float32", tensor("x", "FP32", [1, 4], [row]))[1]["outputs"][0]["data"] == row
    status, answer = infer(caller, "float32", tensor("x", "FP32", [1, 4], [[1.0, 2.0, 3.0]]))
    assert (status, answer["error"]) == (400, "shape [1, 4] has 4 elements, data has 3 at $.inputs[0].data")
    body = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [[1, 2, 3, 4]}, {}]}]}'
    assert caller.ask("/v2/models/tensors.float32/infer", body).status == 400


@pytest.mark.parametrize(
    ("api", "datatype", "data"),
    [
        ("uint8", "UINT8", [0, 255]),
        ("int8", "INT8", [-128, 127]),
        ("bool", "BOOL", [True, False]),
        ("any", "UINT16", [65535]),
        ("any", "UINT32", [2**32 - 1]),
        ("any", "UINT64", [2**64 - 1, 0]),
        ("any", "INT16", [-(2**15)]),
        ("any", "INT32", [-(2**31)]),
        ("any", "INT64", [-(2**63), 2**63 - 1]),
        ("any", "FP64", [0.1, 1e300]),
        ("any", "BYTES", ["é", "", "a b"]),
    ],
)
def test_every_datatype(caller: Caller, api: str, datatype: str, data: list[Any]) -> None:
    status, answer = infer(caller, api, tensor("x", datatype, [len(data)], data))
    assert status == 200, answer
    assert answer["outputs"][0] == {
        "name": "output",
        "datatype": datatype,
        "shape": [len(data)],
        "data": data,
    }


def test_nan_and_infinity_are_literals_both_ways(caller: Caller) -> None:
    body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[4],"data":[NaN,-Infinity,Infinity,1]}]}'
    answer = caller.ask("/v2/models/tensors.any/infer", body)
    assert b'"data":[NaN,-Infinity,Infinity,1.0]' in answer.body
    first, *rest = json.loads(answer.body)["outputs"][0]["data"]
    assert math.isnan(first)
    assert rest == [-math.inf, math.inf, 1.0]


@pytest.mark.parametrize(
    ("api", "given", "said"),
    [
        ("uint8", tensor("x", "UINT8", [2], [1, 300]), "Expected `int` <= 255 at $.inputs[0].data[1]"),
        ("int8", tensor("x", "INT8", [1], [1.5]), "Expected `int`, got `float` at $.inputs[0].data[0]"),
        ("bool", tensor("x", "BOOL", [1], [1]), "Expected `bool`, got `int` at $.inputs[0].data[0]"),
        ("float32", tensor("x", "FP32", [1, 4], [[1, 2, 3, "4"]]), "got `str` at $.inputs[0].data[0][3]"),
        ("float32", tensor("x", "FP32", [1, 4], [[1, 2, 3, 1e39]]), "at $.inputs[0].data[0][3]"),
        ("float32", tensor("x", "FP32", [2, 2], [[1, 2, 3], [4]]), "as in [0], got 1: every row"),
        ("float32", tensor("x", "FP32", [1, 5], [1, 2, 3, 4, 5]), "expected shape [n, 4], got [1, 5]"),
        ("float32", tensor("x", "FP64", [1, 4], ROW), "expected datatype FP32, got FP64 at $.inputs[0].data"),
        ("float32", tensor("x", "FP31", [1, 4], ROW), "datatype 'FP31' is unknown; use one of BOOL, UINT8"),
        ("float32", tensor("x", "FP32", [-1, 4], ROW), "sizes of 0 or more at $.inputs[0].shape"),
        ("float32", tensor("x", "FP32", [10**6, 10**6], []), "elements, data has 0 at $.inputs[0].data"),
        ("any", tensor("x", "FP32", [0, 10**30], []), "is larger than any array at $.inputs[0].shape"),
        ("any", tensor("x", "BYTES", [2**40, 0, 2**40], []), "is larger than any array at $.inputs[0].shape"),
        ("float32", tensor("x", "FP32", [1, 4], {}), "expected a list of elements, flat or nested"),
        ("float32", tensor("x", "FP32", [1, 4], 3.0), "expected a list of elements, flat or nested"),
        ("float32", tensor("y", "FP32", [1, 4], ROW), "unexpected input 'y' (inputs: x, scale)"),
        ("any", tensor("x", "FP16", [1], [1.0]), "FP16 has no form in JSON: send it in binary"),
        ("any", tensor("x", "BF16", [1], [1.0]), "BF16 has no form in JSON: send it in binary"),
        ("any", tensor("x", "INT64", [1], [2**63]), "9223372036854775808 does not fit int64"),
        ("any", tensor("x", "BYTES", [1], [1]), "Expected `str`, got `int` at $.inputs[0].data[0]"),
        ("texts", tensor("texts", "BYTES", [1, 1], ["a"]), "expected 1 axes, got shape [1, 1]"),
        ("scalars", tensor("number", "INT64", [2], [1, 2]), "expected one element, shape [1], got"),
        (
            "greet",
            tensor("person", "BYTES", [1], ['{"nam": "A"}']),
            "missing field `name` at $.inputs[0].data[0]",
        ),
        ("greet", tensor("person", "BYTES", [1], ['{"name": "A", "agee": 1}']), "did you mean `age`?"),
    ],
)
def test_wrong_inputs_are_refused_with_where_and_why(
    caller: Caller, api: str, given: dict[str, Any], said: str
) -> None:
    status, answer = infer(caller, api, given)
    assert status == 400
    assert said in answer["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty; send a JSON object with `inputs`"),
        (b"{", "JSON is malformed"),
        (b"{}", "missing field `inputs`"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"inputs": {}}', "Expected `array`, got `object` at $.inputs"),
        (b'{"inputs": []}', "input 'x' is missing at $.inputs"),
        (b'{"inputs": [{"name": "x"}]}', "missing field `datatype` at $.inputs[0].datatype"),
        (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1.5]}]}', "at $.inputs[0].shape[0]"),
        (b'{"id": 3, "inputs": []}', "Expected `str`, got `int` at $.id"),
        (b'{"inputs": [], "parameters": []}', "got `array` at $.parameters"),
        (b'\xff{"inputs": []}', "malformed"),
        (b'{"inputs": [], "parameters": {"a": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_request_is_refused(caller: Caller, body: bytes, said: str) -> None:
    answer = caller.ask("/v2/models/tensors.float32/infer", body)
    assert answer.status == 400
    assert said in json.loads(answer.body)["error"]


def test_an_error_names_the_request_by_its_id(caller: Caller) -> None:
    status, answer = infer(caller, "float32", tensor("y", "FP32", [1, 4], ROW), id="r7")
    assert status == 400
    assert answer["error"].startswith("[request id: r7] unexpected input 'y'")


def test_an_input_comes_once(caller: Caller) -> None:
    given = tensor("x", "FP32", [1, 4], ROW)
    assert (
        infer(caller, "float32", given, given)[1]["error"] == "input 'x' is there twice at $.inputs[1].name"
    )


@pytest.mark.parametrize("parameters", [{}, {"binary_data_size": 4}, {"shared_memory_region": "r"}])
def test_an_input_is_in_exactly_one_place(caller: Caller, parameters: dict[str, Any]) -> None:
    given = {"name": "x", "datatype": "FP32", "shape": [1], "parameters": parameters}
    if parameters:
        given["data"] = [1.0]
    status, answer = infer(caller, "open", given)
    assert status == 400
    assert "must have exactly one of data, binary_data_size and shared_memory_region" in answer["error"]


def test_shared_memory_is_off_unless_the_server_allows_it(caller: Caller) -> None:
    place = {"shared_memory_region": "r", "shared_memory_byte_size": 4}
    given = {"name": "x", "datatype": "FP32", "shape": [1], "parameters": place}
    status, answer = infer(caller, "open", given)
    assert status == 501
    assert "shared memory" in answer["error"]


def test_outputs_are_chosen_and_come_in_the_order_of_the_request(caller: Caller) -> None:
    given = tensor("x", "FP32", [2, 2], [[0.5, 0.25], [1, 2]])
    all_of_them = infer(caller, "scores", given)[1]["outputs"]
    assert [(each["name"], each["datatype"], each["shape"]) for each in all_of_them] == [
        ("best", "INT64", [2]),
        ("scores", "FP32", [2, 2]),
    ]
    assert infer(caller, "scores", given, outputs=[])[1]["outputs"] == all_of_them
    turned = infer(caller, "scores", given, outputs=[{"name": "scores"}, {"name": "best"}])[1]["outputs"]
    assert turned == all_of_them[::-1]
    status, answer = infer(caller, "scores", given, outputs=[{"name": "score"}])
    assert status == 400
    assert "unexpected output 'score'" in answer["error"]
    assert "(outputs: best, scores) at $.outputs[0].name" in answer["error"]
    status, answer = infer(caller, "scores", given, outputs=[{"name": "best"}] * 2)
    assert (status, answer["error"]) == (400, "output 'best' is there twice at $.outputs[1].name")


def test_parameters_fill_scalars_and_strangers_are_passed_over(caller: Caller) -> None:
    given = tensor("x", "FP32", [1, 4], ROW)
    parameters = {"scale": 2, "content_type": "np", "priority": 3, "sequence_id": "a", "nested": [1]}
    status, answer = infer(caller, "float32", given, parameters=parameters)
    assert status == 200
    assert answer["outputs"][0]["data"][:3] == [2.0, 4.0, 6.0]
    status, answer = infer(caller, "float32", given, parameters={"scale": "wide"})
    assert status == 400
    assert answer["error"].endswith("Expected `float`, got `str` ('wide') at $.parameters.scale")
    status, answer = infer(
        caller, "float32", given, tensor("scale", "FP64", [1], [2.0]), parameters={"scale": 2.0}
    )
    assert (status, answer["error"]) == (
        400,
        "'scale' is among the inputs and the parameters at $.parameters.scale",
    )


def test_scalars_texts_objects_and_contents_are_tensors(caller: Caller) -> None:
    scalars = [
        tensor("number", "INT64", [1], [3]),
        tensor("ratio", "FP64", [1], [0.5]),
        tensor("flag", "BOOL", [1], [True]),
        tensor("text", "BYTES", [1], ["abc"]),
    ]
    assert infer(caller, "scalars", *scalars)[1]["outputs"][0]["data"] == [3.0, 0.5, 1.0, 3.0]
    words = infer(caller, "texts", tensor("texts", "BYTES", [2], ["a", "é"]), parameters={"loud": True})[1]
    assert [each["data"] for each in words["outputs"]] == [["A", "É"], [2]]
    person = tensor("person", "BYTES", [1], ['{"name": "Ann"}'])
    assert [each["data"] for each in infer(caller, "greet", person)[1]["outputs"]] == [["hello Ann"], [4]]
    content = infer(caller, "content", tensor("data", "BYTES", [1], ["abc"]))[1]
    assert content["outputs"][0]["data"] == ["cba"]
    rows = infer(caller, "rows", tensor("rows", "FP64", [2, 2], [1, 2, 3, 4]))[1]["outputs"][0]
    assert (rows["shape"], rows["data"]) == ([2, 2], [1.0, 2.0, 3.0, 4.0])


def test_streams_are_for_other_routes(caller: Caller) -> None:
    status, answer = infer(caller, "count", tensor("x", "INT64", [1], [3]))
    assert status == 501
    assert "ask at /v2/models/tensors.count/generate_stream" in answer["error"]


def test_a_stream_of_items_comes_as_one_tensor(caller: Caller) -> None:
    status, answer = infer(caller, "total", tensor("numbers", "FP64", [3], [1, 2, 3.5]))
    assert (status, answer["outputs"][0]["data"]) == (200, [6.5])


def test_a_large_json_is_read_in_full(caller: Caller) -> None:
    numbers = [index / 3 for index in range(4096)]
    for data in (numbers, [numbers[at : at + 4] for at in range(0, 4096, 4)]):
        answer = infer(caller, "float32", tensor("x", "FP32", [1024, 4], data))[1]["outputs"][0]
        assert answer["shape"] == [1024, 4]
        assert answer["data"] == pytest.approx(numbers)
    ragged = [*numbers[:4091], [1.0]]
    assert infer(caller, "float32", tensor("x", "FP32", [1023, 4], ragged))[0] == 400


def test_the_time_out_is_in_microseconds(caller: Caller) -> None:
    status, answer = infer(caller, "nap", tensor("x", "FP32", [1], [1]), parameters={"timeout": 2000})
    assert status == 504
    assert answer["error"].endswith("took longer than 0.002 s")
    for wrong in (-1, 1.5, True, "1"):
        status, answer = infer(caller, "nap", tensor("x", "FP32", [1], [1]), parameters={"timeout": wrong})
        assert status == 400
        assert "timeout must be whole microseconds" in answer["error"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_infers(caller: Caller, method: str) -> None:
    answer = caller.ask("/v2/models/tensors.any/infer", method=method)
    assert answer.status == 405
    assert "takes POST" in json.loads(answer.body)["error"]


def test_a_name_may_be_percent_encoded(caller: Caller) -> None:
    body = json.dumps({"inputs": [tensor("x", "INT64", [1], [1])]}).encode()
    assert caller.ask("/v2/models/tensors%2Eany/infer", body).status == 200
