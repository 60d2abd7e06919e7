"""Logging of every process of a server: text or JSON lines on standard error.

One handler at the root, so that the user's own loggers come out in the same form. Fields given as `extra=`
come out in both; `set_context_fields` adds those of the request in hand.
"""

from __future__ import annotations

import datetime
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import msgspec

from ..errors import ConfigError

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")

_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_QUIET = (
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "asyncio",
    "litestar",
    "watchfiles",
    "httpx",
    "httpcore",
)
"""Libraries whose information is the server's own business; their warnings are shown."""

_COLOURS = {
    "debug": "\x1b[2m",
    "info": "\x1b[36m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[31m",
}
_DIM, _RESET = "\x1b[2m", "\x1b[0m"


def configure(
    format: str,  # noqa: A002 - the option's name
    level: str,
    process: str,
    stream: TextIO | None = None,
) -> None:
    """Sends the log of this process to standard error.

    Args:
        format: `text` (aligned, coloured on a terminal) or `json` (one object a line: `ts`, `level`,
            `logger`, `process`, `msg`, then the extra fields).
        level: `debug`, `info`, `warning` or `error`.
        process: `supervisor`, `api-0`, `iris-1`.
        stream: instead of standard error.

    Raises:
        ConfigError: no such format or level.
    """
    if format not in FORMATS:
        raise ConfigError(f"no log format {format!r}: use {' or '.join(FORMATS)}")
    if level not in LEVELS:
        raise ConfigError(f"no log level {level!r}: use one of {', '.join(LEVELS)}")
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        JsonFormatter(process) if format == "json" else TextFormatter(process, colour=target.isatty())
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        quiet = logging.getLogger(name)
        quiet.handlers.clear()
        quiet.propagate = True
        quiet.setLevel("WARNING" if level != "error" else "ERROR")
    logging.captureWarnings(capture=True)


_context_fields: Callable[[], Mapping[str, Any]] = dict


def set_context_fields(fields: Callable[[], Mapping[str, Any]]) -> None:
    """Asks this for `request_id`, `trace_id` … of the request in hand, once for every record written."""
    global _context_fields  # noqa: PLW0603 - one process, one log
    _context_fields = fields


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    extra = {key: value for key, value in vars(record).items() if key not in _KNOWN}
    return {**_context_fields(), **extra}


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
        line = {
            "ts": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "msg": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class TextFormatter(logging.Formatter):
    """`12:30:01.250 info     api-0       message  key=value`"""

    def __init__(self, process: str, *, colour: bool) -> None:
        super().__init__()
        self._process = process
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        level = record.levelname.lower()
        fields = "".join(f"  {key}={value}" for key, value in _fields(record).items())
        if self._colour:
            head = f"{_DIM}{when}{_RESET} {_COLOURS.get(level, '')}{level:<8}{_RESET} {self._process:<11}"
            fields = f"{_DIM}{fields}{_RESET}" if fields else ""
        else:
            head = f"{when} {level:<8} {self._process:<11}"
        text = f"{head} {record.getMessage()}{fields}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text
