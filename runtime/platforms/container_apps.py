"""Azure Container Apps: https://learn.microsoft.com/azure/container-apps/environment-variables

Ingress goes to the port that its `targetPort` names: 3000, unless `BUNDLE_PORT` says otherwise."""

from __future__ import annotations

from .platform import Platform

PLATFORM = Platform(
    name="container-apps",
    title="Azure Container Apps",
    signs=("CONTAINER_APP_NAME",),
)
