"""What the user adds on the command line: inputs, classes, names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiffin.bundler.model_files.inputs import parameter, parse_inputs
from tiffin.bundler.model_files.names import attribute_name, class_name, model_name, names_of
from tiffin.bundler.model_files.wishes import FileOptions, read_classes
from tiffin.errors import UsageError
from tiffin.runtime.manifest import TypeSpec


def test_inputs() -> None:
    assert parse_inputs(["x:float32[n,4]", "mask:bool[n, length]", "ids:int64"]) == {
        "x": TypeSpec(kind="array", dtype="float32", shape=["n", 4]),
        "mask": TypeSpec(kind="array", dtype="bool", shape=["n", "length"]),
        "ids": TypeSpec(kind="array", dtype="int64", shape=None),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "not name:dtype"),
        ("x:float32[n,4", "not name:dtype"),
        ("x:float8[n]", "no dtype 'float8'"),
        ("x:float32[1,4]", "the first axis is the rows"),
        ("x:float32[n,-1]", "an axis is a size"),
        ("x:float32[n,0]", "an axis is a size"),
    ],
)
def test_inputs_that_are_wrong(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_inputs([text])
    with pytest.raises(UsageError, match="given twice"):
        parse_inputs(["x:bool", "x:bool"])


def test_parameters() -> None:
    assert [parameter(name) for name in ("X", "input.1", "1x", "class", "self", "été", "input_ids")] == [
        "x", "input_1", "x_1x", "x_class", "x_self", "t", "input_ids",
    ]  # fmt: skip
    assert parameter("a-b", ["a_b"]) == "a_b_2"


def test_names() -> None:
    assert model_name(Path("My Forest.v2.joblib")) == "my-forest.v2"
    assert model_name(Path("Iris Größe.joblib")) == "iris-grosse"
    assert model_name(Path("模型.onnx")) == "model"
    assert model_name(Path("model.tar.gz")) == "model"
    assert model_name(Path("Ä.onnx")) == "a"
    assert (class_name("my-forest.v2"), class_name("2nd")) == ("MyForestV2", "Model2nd")
    assert (attribute_name("my-forest.v2"), attribute_name("2nd")) == ("my_forest_v2", "model_2nd")
    with pytest.raises(UsageError, match="would both be the model 'a'"):
        names_of([Path("a.onnx"), Path("A.joblib")])


def test_options_of_several_models() -> None:
    files = FileOptions(inputs=["a=x:bool", "b=y:bool"], classes=["b=words.txt"])
    split = files.of_models(["a", "b"])
    assert (split["a"].inputs, split["b"].inputs, split["b"].classes) == (
        ["x:bool"],
        ["y:bool"],
        ["words.txt"],
    )
    assert files.of_models(["only"]) == {"only": files}
    with pytest.raises(UsageError, match="say which: --input a=x:bool"):
        FileOptions(inputs=["x:bool"]).of_models(["a", "b"])
    with pytest.raises(UsageError, match="no model 'iri'; did you mean 'iris'"):
        FileOptions(classes=["iri=w.txt"]).of_models(["iris", "b"])


def test_files_of_classes(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    for text in ("cat\ndog\n", "\ufeffcat\r\n dog \n\n", '["cat", "dog"]', '{"1": "dog", "0": "cat"}'):
        file.write_bytes(text.encode())
        assert read_classes(file) == ["cat", "dog"]
    for text, words in (("", "holds no words"), ("[1", "neither one word a line nor JSON")):
        file.write_text(text)
        with pytest.raises(UsageError, match=words):
            read_classes(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is no text"):
        read_classes(file)
    with pytest.raises(UsageError, match="No such file"):
        read_classes(tmp_path / "none")
