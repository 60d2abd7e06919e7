"""Where workers are, as a person writes it: `forest=dns:forest:7000 encoder=10.0.0.7:7000,[fd00::8]:7000`."""

from __future__ import annotations

from typing import NamedTuple

from ...errors import ConfigError


class Place(NamedTuple):
    """A host and port; every address that the host's name has is a worker container."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_places(variable: str, text: str) -> dict[str, tuple[Place, ...]]:
    """Runner to its places; `""` is the runner of places without one, which hold for all others.

    Args:
        variable: named in errors.
        text: `runner=place,place` or `place,place`, separated by spaces or semicolons; a place is
            `host:port`, and `dns:` may stand before it.

    Raises:
        ConfigError: it is written otherwise, or names a runner twice.
    """
    found: dict[str, tuple[Place, ...]] = {}
    for part in text.replace(";", " ").split():
        runner, equals, listed = part.rpartition("=")
        if equals and not runner:
            raise ConfigError(f"{variable}: {part!r} names no runner: write forest=host:7000")
        if runner in found:
            raise ConfigError(
                f"{variable} names {runner or 'a place for all runners'} twice: separate places with commas"
            )
        found[runner] = tuple(dict.fromkeys(_place(variable, one) for one in listed.split(",")))
    return found


def _place(variable: str, text: str) -> Place:
    host, colon, port = text.strip().removeprefix("dns:").rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(f"{variable}: {text!r}: write an IPv6 address in brackets: [fd00::8]:7000")
    if not (colon and host and port.isascii() and port.isdecimal() and 0 < int(port) <= 65535):
        raise ConfigError(f"{variable}: {text!r} is no place: write host:port, forest:7000 say")
    return Place(host, int(port))
