"""What holds for every test."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# The machine is shared and slow at times: how long an example takes says nothing about the code.
settings.register_profile(
    "tiffin", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tiffin")

# Under `nohup`, or in the background of a script, these are ignored, and every process that a test starts
# would inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
