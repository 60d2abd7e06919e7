"""AWS Lambda: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

Nobody connects to the container: it asks the runtime API for one invocation after the other. With the
argument `serve` it is a plain server instead, for the Lambda Web Adapter, which asks port 8080.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .platform import Platform, Routes

RUNTIME_API = "AWS_LAMBDA_RUNTIME_API"
INVOCATIONS = "/invocations"
"""Where events that are no HTTP requests go."""


@dataclass(frozen=True)
class Lambda(Platform):
    def routes(self, environ: Mapping[str, str]) -> Routes:  # noqa: ARG002 - always the same
        return Routes(predict=(INVOCATIONS,))


PLATFORM = Lambda(
    name="lambda",
    title="AWS Lambda",
    signs=(RUNTIME_API,),
    port=8080,
    drain_s=1.0,
)
