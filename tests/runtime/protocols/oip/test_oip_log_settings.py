"""Log settings: what they change, in every process, and what they refuse."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tiffin.errors import InvalidInputError
from tiffin.runtime import logs
from tiffin.runtime.protocols.oip.log_settings import LogSettings, Settings
from tiffin.runtime.protocols.oip.unsupported import UnsupportedError

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What this process logs, as `bundle serve` sets it up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("text", "info", "api-0", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def written(log: io.StringIO) -> list[str]:
    """Logs a record of every level; the levels of those that came out."""
    log.seek(0)
    log.truncate()
    for name, number in LEVELS.items():
        logging.getLogger("tiffin.test").log(number, "this is %s", name)
    return [name for name in LEVELS if f"this is {name}" in log.getvalue()]


def settings(folder: Path, level: str = "info") -> LogSettings:
    return LogSettings(folder, Settings.of("text", level), lambda form: None)


@pytest.mark.parametrize("level", logs.LEVELS)
def test_they_start_as_the_command_line_says(tmp_path: Path, log: io.StringIO, level: str) -> None:
    logs.configure("text", level, "api-0", log)
    told = settings(tmp_path, level).all()
    shown = [name for name in logs.LEVELS[1:] if told[f"log_{name}"]]
    assert (["debug"] if told["log_verbose_level"] else []) + shown == written(log)
    assert list(tmp_path.iterdir()) == [], "nothing was changed"


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ({"log_verbose_level": 1}, ["debug", "info", "warning", "error"]),
        ({"log_info": False}, ["warning", "error"]),
        ({"log_warning": False}, ["info", "error"]),
        ({"log_error": False}, ["info", "warning"]),
        ({"log_info": False, "log_warning": False, "log_error": False}, []),
        ({"log_info": False, "log_verbose_level": 2}, ["debug", "warning", "error"]),
        ({"log_info": None}, ["info", "warning", "error"]),
        ({}, ["info", "warning", "error"]),
    ],
)
def test_levels_are_told_apart(
    tmp_path: Path, log: io.StringIO, wanted: dict[str, Any], shown: list[str]
) -> None:
    told = settings(tmp_path).change(wanted)
    assert written(log) == shown
    assert {name: value for name, value in wanted.items() if value is not None}.items() <= told.items()


def test_the_form_of_the_lines_changes(tmp_path: Path, log: io.StringIO) -> None:
    forms: list[str] = []
    found = LogSettings(tmp_path, Settings.of("text", "info"), forms.append)
    assert found.change({"log_format": "json"})["log_format"] == "json"
    written(log)
    assert [msgspec.json.decode(line)["process"] for line in log.getvalue().splitlines()] == ["api-0"] * 3
    found.change({"log_format": "default"})
    written(log)
    assert not log.getvalue().startswith("{")
    assert forms == ["json", "text"]


def test_what_was_asked_for_is_written_whatever_the_levels(tmp_path: Path, log: io.StringIO) -> None:
    settings(tmp_path).change({"log_info": False, "log_warning": False, "log_error": False})
    logging.getLogger("tiffin.explain").setLevel(logging.INFO)
    logging.getLogger("tiffin.explain").info("batching of api-0")
    assert "batching of api-0" in log.getvalue()


def test_other_processes_heed_the_file_and_later_ones_start_with_it(tmp_path: Path, log: io.StringIO) -> None:
    forms: list[str] = []
    other = LogSettings(tmp_path, Settings.of("text", "info"), forms.append)
    settings(tmp_path).change({"log_info": False, "log_format": "json"})
    assert other.all()["log_info"] is False, "every process tells the same, at once"
    logs.configure("text", "info", "api-0", log)  # as if this were another process
    other.heed()
    assert written(log) == ["warning", "error"]
    assert forms == ["json"]
    logs.configure("text", "info", "api-0", log)
    LogSettings(tmp_path, Settings.of("text", "info"), forms.append)
    assert written(log) == ["warning", "error"]
    assert forms == ["json", "json"]


@pytest.mark.parametrize(
    "wanted",
    [
        {"log_info": "yes"},
        {"log_info": 1},
        {"log_verbose_level": -1},
        {"log_verbose_level": True},
        {"log_verbose_level": 1.5},
        {"log_verbose_level": 2**32},
        {"log_format": "ISO8601"},
        {"log_format": ["json"]},
        {"log_everything": True},
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    tmp_path: Path, log: io.StringIO, wanted: dict[str, Any]
) -> None:
    found = settings(tmp_path)
    with pytest.raises(InvalidInputError) as refused:
        found.change({"log_warning": False, **wanted})
    assert refused.value.path == f"$.{next(iter(wanted))}"
    assert written(log) == ["info", "warning", "error"]
    assert found.all()["log_warning"] is True


def test_the_log_stays_on_standard_error(tmp_path: Path, log: io.StringIO) -> None:
    found = settings(tmp_path)
    assert found.change({"log_file": ""})["log_file"] == ""
    with pytest.raises(UnsupportedError, match="standard error"):
        found.change({"log_file": "/tmp/log"})
    assert written(log) == ["info", "warning", "error"]
