"""Tags: `name:version`, the address of a model or a bundle."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass

from ..errors import InvalidTagError

LATEST = "latest"

_MAX_CHARS = 63

# Names become folder names, image names and metric labels, so the grammar is the narrowest of the three.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_VERSION = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: sorts as it counts, no i l o u
_EPOCH_US = 1_577_836_800_000_000  # 2020-01-01; 50 bits of microseconds last until 2055
_TIME_CHARS = 10
_RANDOM_CHARS = 4


@dataclass(frozen=True, order=True)
class Tag:
    """The address of one version of a model or bundle.

    Args:
        name: 1 to 63 of `a-z 0-9 . _ -`, starting and ending with a letter or digit.
        version: the same grammar; `latest` stands for the newest.

    Raises:
        InvalidTagError: when either breaks the grammar.
    """

    name: str
    version: str = LATEST

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise InvalidTagError(
                f"bad name {self.name!r}: use 1 to 63 of a-z 0-9 . _ - "
                f"and start and end with a letter or digit{_such_as(self.name)}"
            )
        if not isinstance(self.version, str) or not _VERSION.fullmatch(self.version):
            raise InvalidTagError(
                f"bad version {self.version!r} of {self.name!r}: use 1 to 63 of a-z 0-9 . _ - "
                f"and start and end with a letter or digit{_such_as(self.version)}"
            )

    @classmethod
    def parse(cls, text: str) -> Tag:
        """`iris` and `iris:latest` mean the newest; `iris:6f3k2q…` one version."""
        name, colon, version = text.partition(":")
        if colon and not version:
            raise InvalidTagError(f"bad tag {text!r}: the version after ':' is empty")
        return cls(name, version or LATEST)

    @property
    def is_latest(self) -> bool:
        return self.version == LATEST

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


def spelled(text: str) -> str:
    """A name as the store takes it: `Größe 2` → `grosse-2`; empty when nothing of it can be kept."""
    return re.sub(r"[^a-z0-9._-]+", "-", unaccented(text).casefold())[:_MAX_CHARS].strip("._-")


def unaccented(text: str) -> str:
    """`Größe` → `Große`: letters without their marks, compatible forms as plain ones."""
    import unicodedata

    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))


def _such_as(text: object) -> str:
    near = spelled(text) if isinstance(text, str) else ""
    return f", such as {near!r}" if near else ""


def new_version(after: str | None = None) -> str:
    """A version that sorts after every earlier one: 10 characters of time, 4 of chance.

    Args:
        after: the newest version that exists; a clock that went backwards must not hide the new one.
    """
    micros = time.time_ns() // 1000 - _EPOCH_US
    if after is not None and len(after) == _TIME_CHARS + _RANDOM_CHARS:
        micros = max(micros, _decode(after[:_TIME_CHARS]) + 1)
    return _encode(micros, _TIME_CHARS) + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARS))


def _encode(number: int, width: int) -> str:
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(width)))


def _decode(text: str) -> int:
    number = 0
    for char in text:
        place = _ALPHABET.find(char)
        if place < 0:
            return 0  # a version of the user's own making: time says nothing about it
        number = number << 5 | place
    return number
