"""Google Cloud Run: https://cloud.google.com/run/docs/container-contract

A service is sent requests on `$PORT`; after SIGTERM there are 10 s. Knative sets the same variables."""

from __future__ import annotations

from .platform import Platform

PLATFORM = Platform(
    name="cloud-run",
    title="Cloud Run",
    signs=("K_SERVICE",),
    port=8080,
    drain_s=8.0,
)
