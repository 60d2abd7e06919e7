"""AWS Lambda: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

Nobody connects to the container: it asks the runtime API for one invocation after the other.
"""

from __future__ import annotations

from .platform import Platform

RUNTIME_API = "AWS_LAMBDA_RUNTIME_API"

PLATFORM = Platform(
    name="lambda",
    title="AWS Lambda",
    signs=(RUNTIME_API,),
    port=0,
    drain_s=1.0,
)
