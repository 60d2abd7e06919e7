"""Media types: reading `Content-Type`, and choosing by `Accept` (RFC 9110, 12.5.1)."""

from __future__ import annotations

from functools import lru_cache

from ...errors import NotAcceptableError

JSON = "application/json"
MSGPACK = "application/msgpack"
NPY = "application/x-npy"
TEXT = "text/plain"
EVENTS = "text/event-stream"
NDJSON = "application/x-ndjson"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

ALIASES = {
    "application/x-msgpack": MSGPACK,
    "application/vnd.msgpack": MSGPACK,
    "application/npy": NPY,
    "text/json": JSON,
    "application/ndjson": NDJSON,
    "application/jsonl": NDJSON,
    "application/x-jsonlines": NDJSON,
    "image/jpg": "image/jpeg",
}
_MAX_RANGES = 64


@lru_cache(maxsize=256)
def content_type(header: str) -> tuple[str, dict[str, str]]:
    """`text/plain; charset=utf-8` → (`text/plain`, {"charset": "utf-8"}); lower case, aliases resolved."""
    head, *rest = _split(header, ";")
    media = head.strip().lower()
    parameters: dict[str, str] = {}
    for item in rest:
        name, equals, value = item.partition("=")
        if equals:
            parameters.setdefault(name.strip().lower(), _unquoted(value.strip()))
    return ALIASES.get(media, media), parameters


def choose(accept: str, offered: tuple[str, ...]) -> str:
    """The media type of `offered` (best first) that the caller likes most.

    Args:
        accept: the header; empty means anything.
        offered: concrete media types, or `*/*` for a type known only with the value.

    Raises:
        NotAcceptableError: none of them.
    """
    if not accept.strip():
        return offered[0]
    ranges = [_range(item) for item in _split(accept, ",")[:_MAX_RANGES] if item.strip()]
    best, best_rank = "", (0.0, 0)
    for media in offered:
        quality, specificity = _quality(media, ranges, offered)
        # An exact name says more than a wildcard; between wildcards our own order decides.
        rank = (quality, specificity)
        if quality > 0 and (not best or rank > best_rank):
            best, best_rank = media, rank
    if not best:
        raise NotAcceptableError(f"cannot answer with {accept[:200]!r}; offered: {', '.join(offered)}")
    return best


def _quality(media: str, ranges: list[tuple[str, float]], offered: tuple[str, ...]) -> tuple[float, int]:
    """q of the most specific range that covers `media`, and its rank (2 exact, 1 type, 0 anything)."""
    major = media.partition("/")[0]
    found = (0.0, -1)
    for pattern, quality in ranges:
        if pattern == media or (media == "*/*" and "*" not in pattern and pattern not in offered):
            specificity = 2
        elif pattern == f"{major}/*":
            specificity = 1
        elif pattern == "*/*":
            specificity = 0
        else:
            continue
        if specificity > found[1]:
            found = (quality, specificity)
    return found


def _range(text: str) -> tuple[str, float]:
    pattern, *parameters = _split(text, ";")
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    media = pattern.strip().lower()
    quality = quality if 0 <= quality <= 1 else 1.0 if quality > 1 else 0.0
    return ALIASES.get(media, media), quality


def _split(text: str, separator: str) -> list[str]:
    """Splits outside of quotes."""
    if '"' not in text:
        return text.split(separator)
    items, quoted, start, skip = [], False, 0, False
    for position, char in enumerate(text):
        if skip:
            skip = False
        elif quoted and char == "\\":
            skip = True
        elif char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            items.append(text[start:position])
            start = position + 1
    return [*items, text[start:]]


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    out, skip = [], False
    for char in value[1:-1]:
        if char == "\\" and not skip:
            skip = True
            continue
        out.append(char)
        skip = False
    return "".join(out)
