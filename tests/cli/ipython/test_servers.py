"""The servers of a notebook, and how they are named to a person."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tiffin.cli.ipython import servers as module
from tiffin.cli.ipython.servers import Servers
from tiffin.errors import NotFoundError, ServerError


class Failing:
    """A server that ends before it is ready."""

    port = 0
    running = False

    def __init__(self, label: str, *_: Any) -> None:
        self.label = label

    def wait_ready(self, on_wait: Callable[[], None]) -> None:
        raise ServerError("no such service")

    def end(self) -> None:
        pass


def test_one_that_never_started_has_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Server", Failing)
    servers = Servers()
    with pytest.raises(ServerError, match="no such service"):
        servers.start("nowhere", [], ExitStack(), written="", port_given=True, host="127.0.0.1")
    with pytest.raises(NotFoundError, match=r"no server other; there is nowhere \(did not start\)"):
        servers.find("other")
    with pytest.raises(NotFoundError, match="no server 0; "):
        servers.find("0")
    assert servers.find("nowhere").label == "nowhere"
