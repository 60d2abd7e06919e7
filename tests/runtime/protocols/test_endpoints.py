from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensor_service

import tiffin
from tiffin.runtime.manifest import MethodSpec, RunnerSpec, TypeSpec
from tiffin.runtime.protocols.endpoints import Endpoints, UnknownModelError


@tiffin.service
class One:
    @tiffin.api
    async def only(self, x: np.ndarray) -> np.ndarray:
        return x


def names(found: Endpoints) -> list[str]:
    return [endpoint.name for endpoint in found.all]


def test_the_service_means_its_only_api(tmp_path: Path) -> None:
    found = Endpoints.of(tensor_service.state(tmp_path, One), {})
    assert names(found) == ["one", "one.only"]
    assert found.find("one").method == "only"
    assert found.find("one.only", "1").method == "only"


def test_of_several_apis_one_may_be_chosen(tmp_path: Path) -> None:
    state = tensor_service.state(tmp_path)
    found = Endpoints.of(state, {"TIFFIN_INVOCATIONS_API": "add"})
    assert found.find("tensors").method == "add"
    with pytest.raises(UnknownModelError, match=r"could be any of several apis: .*INVOCATIONS_API") as raised:
        Endpoints.of(state, {}).find("tensors")
    assert "tensors.add" in str(raised.value)
    assert raised.value.status == 404


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [
        ("nope", "", "Request for unknown model: 'nope' is not found"),
        ("one.onl", "", "one.only"),
        ("one.only", "2", "Request for unknown model: 'one.only' version 2 is not found; it has version 1"),
        ("", "", "Request for unknown model: '' is not found"),
        ("x" * 10_000, "", "is not found"),
    ],
)
def test_what_is_not_there(tmp_path: Path, name: str, version: str, said: str) -> None:
    with pytest.raises(UnknownModelError) as raised:
        Endpoints.of(tensor_service.state(tmp_path, One), {}).find(name, version)
    assert said in str(raised.value)
    assert len(str(raised.value)) < 1000


class Remote:
    """Stands where a RemoteRunner would."""

    model = SimpleNamespace(classes=["a", "b"])

    def __init__(self) -> None:
        self.seen: Any = None

    def predict(self, *args: Any) -> Any:
        self.seen = args
        return args


def test_methods_of_runners_where_they_are_shown(tmp_path: Path) -> None:
    state = tensor_service.state(tmp_path, One, expose_runners=True)
    method = MethodSpec(inputs={"x": TypeSpec(kind="array"), "y": TypeSpec(kind="array")})
    state.spec.runners = [RunnerSpec(name="forest", model="iris:1", methods={"predict": method})]
    remote = Remote()
    state.instance.forest = remote  # type: ignore[attr-defined]
    found = Endpoints.of(state, {})
    assert names(found) == ["one", "one.only", "one.forest.predict"]
    endpoint = found.find("one.forest.predict")
    endpoint.call(x=1, y=2)
    assert remote.seen == (1, 2)
    assert endpoint.labels == ("a", "b")
    assert found.find("one").labels == ("a", "b")
    state.options.expose_runners = False
    assert names(Endpoints.of(state, {})) == ["one", "one.only"]
