"""What may be mounted, and where."""

from __future__ import annotations

from typing import Any

import pytest

import tiffin
from tiffin.errors import ServerError, ServiceDefinitionError
from tiffin.runtime.service.service import service_info


async def page(scope: Any, receive: Any, send: Any) -> None: ...


def of(path: str = "/ui", app: Any = page, route: str = "/call", **options: Any) -> Any:
    @tiffin.service(name="mounting")
    class Mounting:
        ui = tiffin.mount(path, app, **options)

        @tiffin.api(route=route)
        def call(self) -> int:
            return 1

    return Mounting


@tiffin.service
class Shown:
    ui = tiffin.mount("/ui", page)

    @tiffin.api
    def call(self) -> int:
        return 1


def test_the_manifest_names_the_mounts() -> None:
    info = service_info(Shown)
    assert info.mounts["ui"].path == "/ui"
    assert info.spec().mounts == {"ui": "/ui"}
    assert info.mounts["ui"].build(object()) is page


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "ui"}, "is no path"),
        ({"path": "/ui/"}, "is no path"),
        ({"path": "/docs"}, "belongs to the server"),
        ({"path": "/v2/mine"}, "mount it on another path"),
        ({"app": 3}, "no ASGI application"),
        ({"app": "just_a_module"}, "is not module:attribute"),
        ({"public": "yes"}, "neither True nor False"),
        ({"route": "/ui"}, "api call is on '/ui'"),
        ({"route": "/ui/call"}, "everything below a mount is its own"),
    ],
)
def test_what_cannot_work_fails_at_import(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ServiceDefinitionError, match=words) as error:
        of(**options)
    assert "test_service_mount.py:" in str(error.value)


@pytest.mark.parametrize(("first", "second"), [("/ui", "/ui"), ("/ui", "/ui/more"), ("/ui/more", "/ui")])
def test_mounts_do_not_overlap(first: str, second: str) -> None:
    with pytest.raises(ServiceDefinitionError, match="mount one is on"):

        @tiffin.service
        class Two:
            one = tiffin.mount(first, page)
            two = tiffin.mount(second, page)

            @tiffin.api
            def call(self) -> int:
                return 1


def test_near_names_do_not_clash() -> None:
    assert service_info(of(route="/uis")).mounts
    assert service_info(of(path="/call/ui", route="/call")).mounts


def test_a_function_of_the_service_object() -> None:
    made = []

    def build(service: object) -> Any:
        made.append(service)
        return page

    service = object()
    assert service_info(of(app=build)).mounts["ui"].build(service) is page
    assert made == [service]


def test_an_application_named_by_its_module() -> None:
    assert service_info(of(app="http.server:HTTPServer.serve_forever")).mounts
    assert service_info(of(app="litestar:Litestar")).mounts


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("no_such_module_here:app", "No module named"),
        ("json:no_such_name", "no attribute"),
        ("json:__name__", "is a str"),
        (lambda service: service.nothing, "has no attribute 'nothing'"),
        (lambda service: 3, "is a int"),
    ],
)
def test_what_cannot_be_made_says_where(app: Any, words: str) -> None:
    with pytest.raises(ServerError, match=words) as error:
        service_info(of(app=app)).mounts["ui"].build(object())
    assert "test_service_mount.py:" in str(error.value)
