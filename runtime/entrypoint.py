"""`bundle-serve`: what a container of a bundle runs, as its first process.

It is the same supervisor as `bundle serve`: it reaps whatever ends in the container, passes a stop on to its
children as a drain, and its exit code says how it ended: 0 after an orderly stop, 2 for a wrong option or
service, 1 for everything else that kept it from serving, 128 + the signal when a second one cut it short.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import ConfigError, TiffinError
from . import cgroup, log_stream, logs
from .entry_options import Entry, read
from .model.replaced import FOLDER
from .platforms.model_folder import look
from .private_places import make_places
from .supervisor.options import Event

logger = logging.getLogger("tiffin.entrypoint")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal ends it.

    Args:
        arguments: without the program's name; None: of this process.

    Returns:
        The exit code.
    """
    log_stream.take_over()
    logs.configure("text", "info", "entrypoint")
    try:
        entry = read(sys.argv[1:] if arguments is None else arguments, os.environ)
        logs.configure(entry.serve.log_format, entry.serve.log_level, "entrypoint")
        return _run(entry)
    except TiffinError as error:
        logger.critical("%s", error)
        return error.exit_code
    except Exception:
        logger.critical("this is a bug in tiffin, or in the code that it ran", exc_info=True)
        return 1


def _run(entry: Entry) -> int:
    moved = make_places(os.environ)
    if moved:
        logger.info("%s cannot be written: using %s", ", ".join(moved), os.environ["HOME"])
    if entry.detected is not None:
        platform, sign = entry.detected
        logger.info("running on %s (told by %s)", platform.title, sign, extra={"platform": platform.name})
        for name, value in platform.limits(os.environ).items():
            os.environ.setdefault(name, value)
    if entry.role == "lambda":
        return _run_on_lambda(entry)
    return _serve(entry, _tell)


def _serve(entry: Entry, tell: Callable[[Event], None]) -> int:
    found = look(os.environ)
    if found is not None and found.bundle:
        logger.info("serving the bundle in %s instead of %s", found.folder, entry.bundle)
        entry = replace(entry, bundle=str(found.folder))
    elif found is not None:
        os.environ[FOLDER] = str(found.folder)
    if not Path(entry.bundle).is_dir():
        raise ConfigError(
            f"no folder {entry.bundle}: mount the bundle there, or say with TIFFIN_BUNDLE where it is"
        )
    from .cuda_check import check
    from .supervisor.serve import serve

    check(logger)
    return serve(entry.bundle, replace(entry.serve, on_event=tell))


def _run_on_lambda(entry: Entry) -> int:
    from .platforms.lambda_loop import LambdaLoop

    loop = LambdaLoop(os.environ)

    def tell(event: Event) -> None:
        _tell(event)
        if event.kind == "ready":
            loop.start(event.fields["url"])
        elif event.kind == "draining":
            loop.stop()

    try:
        return _serve(entry, tell)
    except TiffinError as error:
        loop.failed(error)
        raise


def _tell(event: Event) -> None:
    """The start and the end in the log, for whoever reads only that."""
    fields = event.fields
    if event.kind == "ready":
        limit_bytes = cgroup.memory_limit_bytes()
        memory = f"{limit_bytes / 2**20:.0f} MiB of memory" if limit_bytes else "no limit of memory"
        logger.info(
            "serving %s at %s, ready in %.2f s, with %.3g cores and %s",
            fields["title"],
            fields["url"],
            fields["seconds"],
            cgroup.cpu_count(),
            memory,
            extra={key: fields[key] for key in ("url", "grpc", "routes", "processes", "runners")},
        )
    elif event.kind == "draining":
        logger.info("stopping: requests in hand have %g s", fields["limit_s"])
    elif event.kind == "stopped":
        logger.info("stopped")


if __name__ == "__main__":
    sys.exit(main())
