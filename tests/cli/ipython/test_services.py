"""Which service is meant."""

from __future__ import annotations

import pytest

import tiffin
from tiffin.cli.ipython.services import Services
from tiffin.errors import ServiceDefinitionError, UsageError


def service(name: str, module: str = "__main__") -> type:
    """A class as a cell defines it."""

    class Made:
        @tiffin.api
        async def name(self, x: int) -> int:
            return x

    made = tiffin.service(Made)
    made.__name__ = made.__qualname__ = name
    made.__module__ = module
    return made


def test_nothing_of_the_notebook_is_the_folder() -> None:
    assert Services({"x": 1, "int": int}).meant(".", given=False) == "."


def test_the_only_one_of_the_notebook() -> None:
    iris = service("Iris")
    namespace = {"Iris": iris, "Same": iris, "Other": service("Other", "other"), "_1": service("Old")}
    assert Services(namespace).meant(".", given=False) is iris
    assert Services(namespace).meant(".", given=True) == "."


def test_several_need_a_name() -> None:
    namespace = {"Iris": service("Iris"), "Rose": service("Rose")}
    with pytest.raises(UsageError, match=r"name one of Iris, Rose, or mark its cell: %%bundle service"):
        Services(namespace).meant(".", given=False)
    assert Services(namespace).meant("Rose", given=True) is namespace["Rose"]


def test_the_marked_one_as_it_is_now() -> None:
    namespace = {"Iris": service("Iris"), "Rose": service("Rose")}
    services = Services(namespace)
    services.mark("Rose")
    namespace["Rose"] = service("Rose")
    assert services.meant(".", given=False) is namespace["Rose"]
    del namespace["Rose"]
    with pytest.raises(ServiceDefinitionError, match="Rose, which %%bundle service marked"):
        services.meant(".", given=False)
