"""Points in time and durations, as `google.protobuf` has them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from ...schema.wrong import WrongValueError
from .form import MessageForm

TIMESTAMP_FILE = "google/protobuf/timestamp.proto"
DURATION_FILE = "google/protobuf/duration.proto"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class TimestampForm(MessageForm):
    """A datetime that must have a time zone; it arrives in UTC, to the microsecond."""

    type_name = ".google.protobuf.Timestamp"
    word = "Timestamp"

    def read(self, value: Any) -> Any:
        try:
            return _EPOCH + timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)
        except OverflowError as error:
            raise WrongValueError("expected a time in the years 1 to 9999") from error

    def fill(self, message: Any, value: Any) -> None:
        if not self.fits(value) or value.tzinfo is None:
            raise TypeError("expected a datetime with a time zone")
        since = value - _EPOCH
        message.seconds = since.days * 86_400 + since.seconds
        message.nanos = since.microseconds * 1000

    def fits(self, value: object) -> bool:
        return isinstance(value, datetime)


class DurationForm(MessageForm):
    """A timedelta, to the microsecond."""

    type_name = ".google.protobuf.Duration"
    word = "Duration"

    def read(self, value: Any) -> Any:
        nanos = value.nanos
        micros = -(-nanos // 1000) if nanos < 0 else nanos // 1000  # towards zero
        try:
            return timedelta(seconds=value.seconds, microseconds=micros)
        except OverflowError as error:
            raise WrongValueError("expected a shorter duration") from error

    def fill(self, message: Any, value: Any) -> None:
        if not self.fits(value):
            raise TypeError(f"expected a timedelta, got a {type(value).__name__}")
        micros = abs(value) // timedelta(microseconds=1)
        sign = -1 if value < timedelta(0) else 1
        message.seconds = sign * (micros // 1_000_000)  # both of one sign
        message.nanos = sign * (micros % 1_000_000) * 1000

    def fits(self, value: object) -> bool:
        return isinstance(value, timedelta)
