"""The binary tensor extension: JSON in front, tensors behind, both ways; raw bodies; compressed bodies."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from tensor_service import Answer, Caller

from tiffin.runtime.protocols.datatypes import DTYPES


@pytest.fixture(scope="module")
def caller() -> Caller:
    return Caller()


def binary(name: str, datatype: str, shape: list[int], size: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


def send(
    caller: Caller, api: str, head: dict[str, Any], *parts: bytes, pieces: int = 1, **headers: str
) -> Answer:
    text = json.dumps(head).encode()
    headers = {"inference_header_content_length": str(len(text)), **headers}
    body = text + b"".join(parts)
    return caller.ask(f"/v2/models/tensors.{api}/infer", body, pieces=pieces, **headers)


def read(answer: Answer) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The JSON, and the binary outputs by name."""
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/octet-stream"
    start = int(answer.headers["inference-header-content-length"])
    document = json.loads(answer.body[:start])
    found = {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is not None:
            assert "data" not in output
            found[output["name"]] = answer.body[start : start + size]
            start += size
    assert start == len(answer.body)
    return document, found


def error(answer: Answer) -> str:
    assert answer.status == 400, answer.body
    text: str = json.loads(answer.body)["error"]
    return text


ALL = {"binary_data_output": True}


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BF16"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_every_datatype_there_and_back(caller: Caller, datatype: str, pieces: int) -> None:
    array = np.arange(6).reshape(2, 3).astype(DTYPES[datatype])
    head = {"inputs": [binary("x", datatype, [2, 3], array.nbytes)], "parameters": ALL}
    document, found = read(send(caller, "any", head, array.tobytes(), pieces=pieces))
    assert document["outputs"][0]["datatype"] == datatype
    assert document["outputs"][0]["shape"] == [2, 3]
    assert found["output"] == array.tobytes()


def test_arrays_can_be_written_to(caller: Caller) -> None:
    """Whether the body came in one piece or in many; JSON's can be, too."""
    array = np.arange(8, dtype=np.float32)
    head = {"inputs": [binary("x", "FP32", [8], 32)], "parameters": ALL}
    for pieces in (1, 2, 7):
        _, found = read(send(caller, "double_in_place", head, array.tobytes(), pieces=pieces))
        assert found["output"] == (array * 2).tobytes()


def test_json_and_binary_are_mixed(caller: Caller) -> None:
    a, b = np.array([1.5, 2.5]), {"name": "b", "datatype": "FP64", "shape": [2], "data": [1, 1]}
    for inputs in ([binary("a", "FP64", [2], 16), b], [b, binary("a", "FP64", [2], 16)]):
        answer = send(caller, "add", {"inputs": inputs}, a.tobytes())
        assert json.loads(answer.body)["outputs"][0]["data"] == [2.5, 3.5]
        assert "inference-header-content-length" not in answer.headers


def test_several_tensors_follow_in_the_order_of_the_inputs(caller: Caller) -> None:
    a, b = np.array([10.0, 20.0]), np.array([2.0, 3.0])
    inputs = [binary("b", "FP64", [2], 16), binary("a", "FP64", [2], 16)]
    head = {"inputs": inputs, "parameters": ALL}
    _, found = read(send(caller, "add", head, b.tobytes(), a.tobytes()))
    assert np.frombuffer(found["output"]).tolist() == [12.0, 23.0]


def test_each_output_says_whether_it_is_binary(caller: Caller) -> None:
    array = np.array([[0.5, 0.25]], np.float32)
    head = {"inputs": [binary("x", "FP32", [1, 2], 8)]}
    head["outputs"] = [{"name": "scores", "parameters": {"binary_data": True}}, {"name": "best"}]
    document, found = read(send(caller, "scores", head, array.tobytes()))
    assert found == {"scores": array.tobytes()}
    assert document["outputs"][1]["data"] == [0]
    head["outputs"][0]["parameters"] = {"binary_data": False}
    head["parameters"] = ALL
    document, found = read(send(caller, "scores", head, array.tobytes()))
    assert list(found) == ["best"]
    assert document["outputs"][0]["data"] == [0.5, 0.25]


def test_bytes_are_lengths_and_contents(caller: Caller) -> None:
    packed = b"".join(struct.pack("<I", len(each)) + each for each in (b"", "é".encode(), b"a\0"))
    head = {"inputs": [binary("texts", "BYTES", [3], len(packed))], "parameters": ALL}
    document, found = read(send(caller, "texts", head, packed))
    assert found["words"] == packed
    assert document["outputs"][0]["shape"] == [3]


def test_contents_that_are_no_text_need_binary(caller: Caller) -> None:
    packed = struct.pack("<I", 2) + b"\xff\x00"
    head = {"inputs": [binary("data", "BYTES", [1], len(packed))]}
    assert "bytes that are no UTF-8: ask for it in binary" in error(send(caller, "content", head, packed))
    _, found = read(send(caller, "content", {**head, "parameters": ALL}, packed))
    assert found["output"] == struct.pack("<I", 2) + b"\x00\xff"


def test_half_precision_has_no_json(caller: Caller) -> None:
    array = np.array([0.5, 1.0], np.float16)
    head = {"inputs": [binary("x", "FP16", [2], 4)]}
    assert "FP16, which has no form in JSON: ask for it in binary" in error(
        send(caller, "half", head, array.tobytes())
    )
    _, found = read(send(caller, "half", {**head, "parameters": ALL}, array.tobytes()))
    assert found["output"] == array.tobytes()


@pytest.mark.parametrize(
    ("length", "said"),
    [
        ("9999", "inference header size should be in range (0, "),
        ("-1", "give the bytes of the JSON"),
        ("x", "give the bytes of the JSON"),
        ("1e3", "give the bytes of the JSON"),
        ("9" * 30, "give the bytes of the JSON"),
        ("5", "JSON is malformed"),
    ],
)
def test_a_wrong_length_of_the_json_is_refused(caller: Caller, length: str, said: str) -> None:
    head = {"inputs": [binary("x", "FP32", [1], 4)]}
    assert said in error(send(caller, "open", head, b"\0" * 4, inference_header_content_length=length))


@pytest.mark.parametrize(
    ("given", "content", "said"),
    [
        (binary("x", "FP32", [1], 4), b"123", "have 4 bytes together, behind the JSON came 3"),
        (binary("x", "FP32", [1], 4), b"12345", "have 4 bytes together, behind the JSON came 5"),
        (binary("x", "FP32", [2], 4), b"1234", "shape [2] of FP32 needs 8 bytes, got 4"),
        (binary("x", "FP32", [10**9] * 30, 4), b"1234", "is larger than any array"),
        (binary("x", "FP32", [0, 10**30], 0), b"", "is larger than any array"),
        (binary("x", "FP32", [10**9], 4), b"1234", "needs 4000000000 bytes, got 4"),
        (binary("x", "FP32", [1], -4), b"1234", "must be a whole number of bytes, 0 or more"),
        (binary("x", "FP32", [1], True), b"1234", "must be a whole number of bytes, 0 or more"),
        (binary("x", "BOOL", [4], 4), b"\0\1\2\0", "a BOOL element is neither 0 nor 1"),
        (binary("x", "BYTES", [1], 4), b"\5\0\0\0", "should have 5 bytes, 0 are left"),
        (binary("x", "BYTES", [2], 6), b"\2\0\0\0ab", "the 6 bytes hold fewer"),
        (binary("x", "BYTES", [1], 10), b"\1\0\0\0a\1\0\0\0b", "needs 1 elements, got 2"),
        (binary("x", "BYTES", [1], 6), b"\0\0\0\0ab", "2 bytes are left for its length"),
    ],
)
def test_what_does_not_fit_is_refused(
    caller: Caller, given: dict[str, Any], content: bytes, said: str
) -> None:
    assert said in error(send(caller, "any", {"inputs": [given]}, content))


def test_binary_sizes_need_the_header(caller: Caller) -> None:
    body = json.dumps({"inputs": [binary("x", "FP32", [0], 0)]}).encode()
    answer = caller.ask("/v2/models/tensors.open/infer", body)
    assert "needs the header Inference-Header-Content-Length" in error(answer)


def test_empty_tensors(caller: Caller) -> None:
    head = {"inputs": [binary("x", "FP32", [0, 4], 0)], "parameters": ALL}
    document, found = read(send(caller, "float32", head))
    assert (document["outputs"][0]["shape"], found["output"]) == ([0, 4], b"")
    given = {"name": "x", "datatype": "FP32", "shape": [0, 4], "data": []}
    answer = caller.ask("/v2/models/tensors.float32/infer", json.dumps({"inputs": [given]}).encode())
    assert json.loads(answer.body)["outputs"][0]["data"] == []


class TestRaw:
    """`Inference-Header-Content-Length: 0`: the body is the tensor."""

    def test_the_shape_follows_from_the_length(self, caller: Caller) -> None:
        array = np.arange(12, dtype=np.float32)
        path = "/v2/models/tensors.float32/infer"
        answer = caller.ask(path, array.tobytes(), inference_header_content_length="0")
        document, found = read(answer)
        assert document["outputs"][0]["shape"] == [3, 4]
        assert found["output"] == array.tobytes()

    def test_bytes_are_one_element(self, caller: Caller) -> None:
        path = "/v2/models/tensors.content/infer"
        for content in (b"", b"abc"):
            _, found = read(caller.ask(path, content, inference_header_content_length="0"))
            assert found["output"] == struct.pack("<I", len(content)) + content[::-1]

    @pytest.mark.parametrize(
        ("api", "content", "said"),
        [
            ("float32", b"1234567", "7 bytes are no FP32 elements of shape [-1, 4]"),
            ("add", b"12345678", "is for models with one input"),
        ],
    )
    def test_what_cannot_be_told_is_refused(
        self, caller: Caller, api: str, content: bytes, said: str
    ) -> None:
        path = f"/v2/models/tensors.{api}/infer"
        assert said in error(caller.ask(path, content, inference_header_content_length="0"))


class TestCompression:
    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    def test_both_ways(self, caller: Caller, coding: str) -> None:
        array = np.arange(400, dtype=np.float32)
        head = json.dumps({"inputs": [binary("x", "FP32", [400], 1600)], "parameters": ALL}).encode()
        whole = head + array.tobytes()
        body = gzip.compress(whole) if coding == "gzip" else zlib.compress(whole)
        answer = caller.ask(
            "/v2/models/tensors.any/infer",
            body,
            content_encoding=coding,
            accept_encoding=coding,
            inference_header_content_length=str(len(head)),
        )
        assert answer.headers["content-encoding"] == coding
        plain = gzip.decompress(answer.body) if coding == "gzip" else zlib.decompress(answer.body)
        _, found = read(answer._replace(body=plain))
        assert found["output"] == array.tobytes()

    def test_what_http_libraries_send_anyway_compresses_large_json_alone(self, caller: Caller) -> None:
        accept = "gzip, deflate, br"
        small = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}
        large = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [900], "data": [1] * 900}]}
        path = "/v2/models/tensors.any/infer"
        answer = caller.ask(path, json.dumps(small).encode(), accept_encoding=accept)
        assert "content-encoding" not in answer.headers
        answer = caller.ask(path, json.dumps(large).encode(), accept_encoding=accept)
        assert answer.headers["content-encoding"] == "gzip"
        answer = caller.ask(path, json.dumps({**large, "parameters": ALL}).encode(), accept_encoding=accept)
        assert "content-encoding" not in answer.headers

    def test_damaged_and_unknown_codings(self, caller: Caller) -> None:
        path = "/v2/models/tensors.any/infer"
        assert "the body is not gzip" in error(caller.ask(path, b"abc", content_encoding="gzip"))
        assert "'br' is not supported" in error(caller.ask(path, b"abc", content_encoding="br"))

    def test_a_bomb_is_not_inflated(self, caller: Caller) -> None:
        body = gzip.compress(bytes(200 * 2**20))
        answer = caller.ask("/v2/models/tensors.any/infer", body, content_encoding="gzip")
        assert answer.status == 413
        assert "larger than" in json.loads(answer.body)["error"]
