"""How many threads a worker may use, for libraries that ask no environment variable themselves."""

from __future__ import annotations

import os

# The supervisor sets it in every worker, from `threads=` of the runner or its share of the cores.
_VARIABLE = "OMP_NUM_THREADS"


def thread_count() -> int | None:
    """1 or more; None where nobody limits it, as in a notebook."""
    text = os.environ.get(_VARIABLE, "")
    return int(text) if text.isdigit() and int(text) > 0 else None
