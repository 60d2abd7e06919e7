"""Logging of every process of a server: text or JSON lines on standard error.

One handler at the root, so that the user's own loggers come out in the same form. Fields given as `extra=`
come out in both; `set_context_fields` adds those of the request in hand.
"""

from __future__ import annotations

import atexit
import datetime
import faulthandler
import io
import logging
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Any, TextIO

import msgspec

from ..errors import ConfigError
from . import log_stream
from .log_stream import LogStream

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
    handler = _Handler(target, process)
    handler.write_as(format)
    if isinstance(buffer := getattr(target, "buffer", None), LogStream):
        buffer.on_dropped = lambda count: handler.text(log_stream.dropped_text(count).strip())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        quiet = logging.getLogger(name)
        quiet.handlers.clear()
        quiet.propagate = True
        quiet.setLevel("WARNING" if level != "error" else "ERROR")
    logging.captureWarnings(capture=True)


def change(format: str, shown: Collection[str]) -> None:  # noqa: A002 - the option's name
    """Changes the log of this process while it runs; what it prints keeps the form it began with.

    Args:
        format: `text` or `json`.
        shown: levels whose records are written, of `LEVELS`; none of them has to be there.
    """
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, _Handler):
            handler.write_as(format)
            handler.shown = frozenset(shown)
    numbers = [logging.getLevelName(level.upper()) for level in LEVELS if level in shown]
    root.setLevel(min(numbers, default=logging.CRITICAL + 1))


def take_over(format: str, level: str, process: str) -> None:  # noqa: A002 - the option's name
    """`configure` for a process whose standard output and error are nothing but log.

    Neither ever blocks it. What it prints, and what no `except` catches, is logged: as it is in text, as
    records in JSON, so that every line is an object. A crash in native code leaves the Python lines that led
    to it, in text only, for it cannot be caught.
    """
    log_stream.take_over()
    configure(format, level, process)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    if format == "text":
        faulthandler.enable(all_threads=False)
    else:
        (handler,) = logging.getLogger().handlers
        sys.stdout, sys.stderr = printed = _Printed("stdout", handler), _Printed("stderr", handler)
        for stream in printed:
            atexit.register(stream.end)


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if error is not None and not issubclass(kind, SystemExit):
        logging.getLogger("tiffin").critical("uncaught exception", exc_info=(kind, error, trace))


_ASKED_FOR = frozenset({"tiffin.explain", "stdout", "stderr"})
"""Loggers of what somebody asked for, and of what is printed: written whatever the levels."""


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]  # generic from Python 3.11 on
    """A record that cannot be written says so in the form of the others."""

    shown = frozenset(LEVELS)
    """Levels that are written, of those that come here."""

    def __init__(self, stream: TextIO, process: str) -> None:
        super().__init__(stream)
        self._process = process

    def write_as(self, format: str) -> None:  # noqa: A002 - the option's name
        self.setFormatter(
            JsonFormatter(self._process)
            if format == "json"
            else TextFormatter(self._process, colour=self.stream.isatty())
        )

    def filter(self, record: logging.LogRecord) -> Any:
        # What is printed has no level.
        if record.name not in _ASKED_FOR and _level(record.levelno) not in self.shown:
            return False
        return super().filter(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        error = sys.exc_info()[1]
        self.stream.write(
            self.text(f"a record of {record.name!r} could not be logged: {record.msg!r}: {error!r}", "error")
        )

    def text(self, message: str, level: str = "warning") -> str:
        record = logging.makeLogRecord({"name": "tiffin.logs", "levelname": level.upper(), "msg": message})
        return self.format(record) + "\n"


def _level(number: int) -> str:
    """The one of `LEVELS` that a number belongs to."""
    if number < logging.INFO:
        return "debug"
    if number < logging.WARNING:
        return "info"
    return "warning" if number < logging.ERROR else "error"


class _Printed(io.TextIOBase):
    """What is printed becomes records, a line each, whatever the level of the log.

    Args:
        name: `stdout` or `stderr`, their logger.
    """

    def __init__(self, name: str, handler: logging.Handler) -> None:
        self._name = name
        self._handler = handler
        self._begun = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        with self._lock:
            *lines, begun = (self._begun + text).replace("\r\n", "\n").split("\n")
            self._begun = begun.rpartition("\r")[2] or begun  # a progress bar writes the same line over
            for line in lines:
                if shown := line.rpartition("\r")[2]:
                    self._handler.handle(
                        logging.makeLogRecord({"name": self._name, "levelname": "INFO", "msg": shown})
                    )
        return len(text)

    def end(self) -> None:
        """The process ends: a line that was begun is one."""
        self.write("\n")

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1 if self._name == "stdout" else 2


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
        line: dict[str, Any] = {
            "ts": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "msg": _encodable(record.getMessage()),
        }
        for key, value in _fields(record).items():
            line.setdefault(key, value)
        if record.exc_info:
            line["traceback"] = _encodable(self.formatException(record.exc_info))
        try:
            return msgspec.json.encode(line, enc_hook=str).decode()
        except (TypeError, ValueError, OverflowError, RecursionError):  # what JSON cannot hold, as text
            plain = {_encodable(key): _encodable(str(value)) for key, value in line.items()}
            return msgspec.json.encode(plain).decode()


def _encodable(text: str) -> str:
    """Without unpaired surrogates, which no encoding holds: paths of files may have them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


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
