"""Azure App Service: https://learn.microsoft.com/azure/app-service/configure-custom-container

The setting `WEBSITES_PORT` says which port of the container to ask; `PORT` is set as well."""

from __future__ import annotations

from .platform import Platform

PLATFORM = Platform(
    name="app-service",
    title="Azure App Service",
    signs=("WEBSITE_SITE_NAME",),
    port_variables=("WEBSITES_PORT",),
)
