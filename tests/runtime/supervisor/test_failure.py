from __future__ import annotations

from pathlib import Path

from tiffin.errors import ServerError, ServiceDefinitionError
from tiffin.runtime.supervisor.failure import failure

HERE = str(Path(__file__).parent)


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause  # noqa: TRY301 - it is to have a frame
    except Exception as caught:  # noqa: BLE001 - any
        return caught


def test_a_usage_error_says_all_there_is() -> None:
    said = failure(raised(ServiceDefinitionError("service.py:4: no type hint"), raised(KeyError("x"))), HERE)
    assert (said.error, said.traceback, said.usage) == ("service.py:4: no type hint", "", True)


def test_the_users_error_comes_with_the_users_frames() -> None:
    said = failure(raised(KeyError("URL")), HERE)
    assert (said.error, said.usage) == ("KeyError: 'URL'", False)
    assert said.traceback.startswith("Traceback (most recent call last):\n  File ")
    assert "in raised" in said.traceback
    assert said.traceback.endswith("KeyError: 'URL'")


def test_ours_comes_with_the_frames_of_its_cause() -> None:
    said = failure(raised(ServerError("hook connect failed"), raised(OSError("refused"))), HERE)
    assert said.error == "hook connect failed"
    assert said.traceback.endswith("OSError: refused")


def test_frames_before_the_users_are_left_out(tmp_path: Path) -> None:
    assert failure(raised(KeyError("URL")), str(tmp_path)).traceback == ""
    code = compile("def go(): 1 / 0", str(tmp_path / "service.py"), "exec")
    names: dict[str, object] = {}
    exec(code, names)
    try:
        names["go"]()  # type: ignore[operator]
    except ZeroDivisionError as error:
        said = failure(error, str(tmp_path))
    assert "service.py" in said.traceback
    assert "test_failure.py" not in said.traceback
