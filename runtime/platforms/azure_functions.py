"""Azure Functions with a custom handler: the functions host passes requests on to a process beside it.

https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers"""

from __future__ import annotations

from .platform import Platform

PLATFORM = Platform(
    name="azure-functions",
    title="Azure Functions",
    signs=("FUNCTIONS_CUSTOMHANDLER_PORT",),
    port_variables=("FUNCTIONS_CUSTOMHANDLER_PORT",),
)
