"""The servers that a notebook has started."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress

from ...errors import NotFoundError, UsageError
from .. import console
from .server import Server

DEFAULT_PORT = 3000


class Servers:
    """By label, in the order of their start. One that has ended stays, for its log, until another takes its
    place."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}

    def __iter__(self) -> Iterator[Server]:
        return iter(list(self._servers.values()))

    def start(
        self,
        label: str,
        arguments: Sequence[str],
        held: ExitStack,
        *,
        written: str,
        port_given: bool,
        host: str,
    ) -> Server:
        """Starts a server and waits until it is ready; one of the same label is stopped first.

        Args:
            label: of the target.
            arguments: of `bundle serve`.
            held: closed when the server has ended, or did not start.
            written: folder of source that was written for it, and is gone when `held` is closed; or empty.
            port_given: whether a port is among the arguments. Else it is the one that the server of this
                label had, the command's own when it is free, or any.
            host: where it will listen.

        Raises:
            ServerError: it did not start; with the end of its log.
        """
        with console.progress(f"start the server of {label}") as progress, ExitStack() as failing:
            failing.enter_context(held)  # is told of the error, and knows the cells
            earlier = self._servers.pop(label, None)
            if earlier is not None and earlier.running:
                progress.update("stop the one before")
                earlier.stop()
            progress.update(f"start the server of {label}")
            port = () if port_given else ("--port", str(_free_port(host, earlier.port if earlier else 0)))
            server = Server(label, [*arguments, *port], held, written)
            self._servers[label] = server
            failing.callback(server.end)
            server.wait_ready(lambda: progress.update(f"start the server of {label}"))
            failing.pop_all()
            progress.finish(f"serving {label}, ready in {server.seconds:.1f} s:", server.url)
        return server

    def find(self, label: str | None) -> Server:
        """The server that a person means.

        Args:
            label: its target, or its port; None: the only one.

        Raises:
            NotFoundError: none; says which there are.
            UsageError: several.
        """
        known = [_known(one) for one in self]
        if label is None:
            running = [one for one in self if one.running]
            found = running or list(self)
            if len(found) > 1:
                raise UsageError(f"several servers were started here, name one: {', '.join(known)}")
        else:
            found = [one for one in self if label in {one.label, str(one.port or "")}]
        if not found:
            there = f"there is {', '.join(known)}" if known else "start one: %bundle serve"
            raise NotFoundError(f"this notebook has started no server{f' {label}' if label else ''}; {there}")
        return found[-1]

    def stop_all(self) -> list[Server]:
        """Stops those that run, together.

        Returns:
            Those that ran.
        """
        running = [one for one in self if one.running]
        for one in running:
            one.leave()
        for one in running:
            one.stop()
        return running

    def leave(self) -> None:
        """At the end of this process: they stop, and nobody waits for them."""
        for one in self:
            one.leave()


def _known(server: Server) -> str:
    """A server that never was ready had no port."""
    if server.port:
        return f"{server.label} (port {server.port})"
    return f"{server.label} ({'starting' if server.running else 'did not start'})"


def _free_port(host: str, wished: int) -> int:
    """A port that nobody listens at, nor, for gRPC, at the one beside it; 0, any, when there is none."""
    for port in filter(None, (wished, DEFAULT_PORT)):
        with suppress(OSError):
            for each in (port, port + 1):
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((host, each))
            return port
    return 0
