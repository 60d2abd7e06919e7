"""Google Vertex AI: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements"""

from __future__ import annotations

from .platform import Platform

PLATFORM = Platform(
    name="vertex-ai",
    title="Vertex AI",
    signs=("AIP_HTTP_PORT", "AIP_PREDICT_ROUTE", "AIP_HEALTH_ROUTE"),
    port_variables=("AIP_HTTP_PORT",),
    port=8080,
)
