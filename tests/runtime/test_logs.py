from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from tiffin.errors import ConfigError
from tiffin.runtime import logs


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logs.set_context_fields(dict)
    logging.captureWarnings(capture=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_is_one_object_a_line_with_extras_and_the_request() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", "api-0", stream)
    logs.set_context_fields(lambda: {"request_id": "r-1", "trace_id": "t-1"})
    logging.getLogger("mine").info("loaded %d\nrows", 5, extra={"seconds": 0.5, "path": object})
    line = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert line == {
        "level": "info",
        "logger": "mine",
        "process": "api-0",
        "msg": "loaded 5\nrows",
        "request_id": "r-1",
        "trace_id": "t-1",
        "seconds": 0.5,
        "path": "<class 'object'>",
    }
    assert stream.getvalue().count("\n") == 1


def test_a_traceback_stays_in_its_line() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", "api-0", stream)
    try:
        {}["x"]
    except KeyError:
        logging.getLogger("mine").exception("failed")
    line = json.loads(stream.getvalue())
    assert line["traceback"].endswith("KeyError: 'x'")


def test_text_is_aligned_and_without_escapes_in_a_file() -> None:
    stream = io.StringIO()
    logs.configure("text", "info", "api-0", stream)
    logging.getLogger("mine").warning("slow", extra={"seconds": 2})
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} warning  api-0       slow  seconds=2\n", stream.getvalue())


def test_colours_on_a_terminal_only() -> None:
    stream = Terminal()
    logs.configure("text", "info", "api-0", stream)
    logging.getLogger("mine").error("slow")
    assert "\x1b[31merror" in stream.getvalue()


def test_libraries_are_quiet_until_something_is_wrong() -> None:
    stream = io.StringIO()
    logs.configure("text", "debug", "api-0", stream)
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("mine").debug("detail")
    assert [line.split(None, 3)[3] for line in stream.getvalue().splitlines()] == [
        "Invalid HTTP request received.",
        "detail",
    ]


@pytest.mark.parametrize(("form", "level"), [("xml", "info"), ("text", "loud")])
def test_what_there_is_not(form: str, level: str) -> None:
    with pytest.raises(ConfigError, match=r"use"):
        logs.configure(form, level, "api-0")
