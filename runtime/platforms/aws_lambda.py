"""AWS Lambda: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

Nobody connects to the container: it asks the runtime API for one invocation after the other. With the
argument `serve` it is a plain server instead, for the Lambda Web Adapter, which asks port 8080.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..cgroup import CPUS, MEMORY
from .platform import Platform, Routes

RUNTIME_API = "AWS_LAMBDA_RUNTIME_API"
MEMORY_MB = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
_MB_A_CORE = 1769
"""So much memory brings one core:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""
INVOCATIONS = "/invocations"
"""Where events that are no HTTP requests go."""


@dataclass(frozen=True)
class Lambda(Platform):
    def routes(self, environ: Mapping[str, str]) -> Routes:  # noqa: ARG002 - always the same
        return Routes(predict=(INVOCATIONS,))

    def limits(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The memory of the function, and the cores that come with it."""
        memory = environ.get(MEMORY_MB, "")
        if not memory.isdecimal():
            return {}
        return {MEMORY: memory, CPUS: f"{int(memory) / _MB_A_CORE:.2f}"}


PLATFORM = Lambda(
    name="lambda",
    title="AWS Lambda",
    signs=(RUNTIME_API,),
    port=8080,
    drain_s=1.0,
)
