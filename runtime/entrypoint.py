"""`bundle-serve`: what a container of a bundle runs, as its first process.

It is the same supervisor as `bundle serve`: it reaps whatever ends in the container, passes a stop on to its
children as a drain, and its exit code says how it ended: 0 after an orderly stop, 2 for a wrong option or
service, 1 for everything else that kept it from serving, 128 + the signal when a second one cut it short.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigError, TiffinError
from . import log_stream, logs
from .entry_options import Entry, read
from .private_places import make_places

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
    if not Path(entry.bundle).is_dir():
        raise ConfigError(
            f"no folder {entry.bundle}: mount the bundle there, or say with TIFFIN_BUNDLE where it is"
        )
    from .supervisor.serve import serve

    return serve(entry.bundle, entry.serve)


if __name__ == "__main__":
    sys.exit(main())
