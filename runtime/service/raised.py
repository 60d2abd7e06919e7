"""What the user's code may raise without ending the process that other callers are served by."""

from __future__ import annotations

RAISED = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)
"""All but `asyncio.CancelledError`, which has a meaning of its own. No signal raises any of them here: API
processes and workers leave Ctrl-C to the supervisor."""
