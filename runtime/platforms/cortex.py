"""Cortex: https://docs.cortexlabs.com/workloads/realtime/containers

Its proxy asks `$CORTEX_PORT`."""

from __future__ import annotations

from .platform import Platform

PLATFORM = Platform(
    name="cortex",
    title="Cortex",
    signs=("CORTEX_PORT",),
    port_variables=("CORTEX_PORT",),
)
