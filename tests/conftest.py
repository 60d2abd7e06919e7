"""What holds for every test."""

from __future__ import annotations

import signal

import httpx
from hypothesis import HealthCheck, settings

# The machine is shared and slow at times: how long an example takes says nothing about the code. The examples
# are the same each time, so that a change is refused for its own faults; `explore` looks for others.
for name, same in (("tiffin", True), ("explore", False)):
    settings.register_profile(
        name,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=not same,
        derandomize=same,
    )
settings.load_profile("tiffin")

# The five seconds that httpx gives an answer where a test says nothing are too few for a busy machine.
PATIENCE_S = 60.0
for phase in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, phase, PATIENCE_S)

# Under `nohup`, or in the background of a script, these are ignored, and every process that a test starts
# would inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
