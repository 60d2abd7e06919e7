"""`bundle-serve api`: a container that answers HTTP and has its workers in others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from ..supervisor.options import ServeOptions
from ..supervisor.serve import serve
from .options import read_options


def serve_api(target_text: str, options: ServeOptions, environ: Mapping[str, str] | None = None) -> int:
    """Answers HTTP until a signal ends it; raises and returns like `serve`.

    Args:
        target_text: as for `serve`.
        environ: token, where the workers are, and TLS; None: of this process.

    Raises:
        ConfigError: what the environment says makes no sense.
    """
    apart = read_options(os.environ if environ is None else environ, role="api")
    return serve(target_text, replace(options, apart=apart))
