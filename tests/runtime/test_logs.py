from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
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


def test_what_json_cannot_hold_comes_as_text() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", "api-0", stream)
    log = logging.getLogger("mine")
    ring: list[object] = []
    ring.append(ring)
    log.info("caf\u00e9 \udc80")
    log.info("ring", extra={"ring": ring, "big": 1 << 70, "path": "\udc80", "level": "mine", "ts": 0})
    log.info("%d rows", "no number")
    first, second, third = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["msg"] == "caf\u00e9 \\udc80"
    assert (second["ring"], second["big"], second["path"]) == ("[[...]]", str(1 << 70), "\\udc80")
    assert (second["level"], second["msg"]) == ("info", "ring")
    assert third["level"] == "error"
    assert "'%d rows'" in third["msg"]


CHILD = """
import logging, sys, threading, warnings
from tiffin.runtime import logs
logs.take_over(sys.argv[1], "error", "forest-0")
print("two", "words", end=""); print("!")
print("unterminated", end="")
sys.stderr.write("\\r1%\\r99%\\rand\\r\\nmore\\n\\n")
logging.getLogger("mine").info("not shown")
threading.Thread(target=lambda: 1 / 0).start()
threading.enumerate()[-1].join() if threading.active_count() > 1 else None
raise KeyError("end")
"""


def run_child(form: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, form], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 1
    return (done.stdout + done.stderr).splitlines()


def test_what_a_process_prints_and_dies_of_is_json_too() -> None:
    lines = [json.loads(line) for line in run_child("json")]
    assert {line["process"] for line in lines} == {"forest-0"}
    said = [(line["logger"], line["msg"]) for line in lines]
    assert said[:3] == [("stdout", "two words!"), ("stderr", "and"), ("stderr", "more")]
    assert said[3:5] == [("tiffin", "uncaught exception")] * 2
    assert "ZeroDivisionError" in lines[3]["traceback"]
    assert lines[4]["traceback"].endswith("KeyError: 'end'")
    assert said[5:] == [("stdout", "unterminated")]


def test_what_a_process_prints_stays_as_it_is_in_text() -> None:
    lines = run_child("text")
    assert lines[0] == "two words!"
    assert "not shown" not in "".join(lines)
    assert any("critical forest-0    uncaught exception" in line for line in lines)
