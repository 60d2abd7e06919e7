"""Amazon SageMaker: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html

It starts the image with the argument `serve`, asks port 8080, and kills 30 s after SIGTERM. Batch transform
asks `/execution-parameters` how it should ask:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..manifest import ServiceSpec
from .platform import Platform, Routes

FOLDER = Path("/opt/ml")
"""Where SageMaker puts the model's files."""
_PREFIX = "SAGEMAKER_"
_TRANSFORM_MB = 100
"""Most that the requests of a batch transform may hold at a time."""
_PAYLOAD_MB = 6
"""Of one, where the service takes as much."""


@dataclass(frozen=True)
class SageMaker(Platform):
    def sign(self, environ: Mapping[str, str], argument: str) -> str:
        """SageMaker need not set any variable: besides them its folder tells, and at last the argument."""
        found = next((name for name in sorted(environ) if name.startswith(_PREFIX)), "")
        if not found and argument == "serve" and FOLDER.is_dir():
            found = str(FOLDER)
        return found

    def routes(self, environ: Mapping[str, str]) -> Routes:  # noqa: ARG002 - always the same
        return Routes(
            health=("/ping",),
            predict=("/invocations",),
            documents={"/execution-parameters": _execution_parameters},
            api_header="x-amzn-sagemaker-custom-attributes",
        )


def _execution_parameters(spec: ServiceSpec) -> dict[str, Any]:
    """As many requests at a time as are allowed: the server makes its own batches of them."""
    smallest = min((api.max_body_bytes for api in spec.apis), default=0)
    payload_mb = max(1, min(_PAYLOAD_MB, smallest // 2**20))
    return {
        "MaxConcurrentTransforms": _TRANSFORM_MB // payload_mb,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": payload_mb,
    }


PLATFORM = SageMaker(
    name="sagemaker",
    title="Amazon SageMaker",
    port_variables=("SAGEMAKER_BIND_TO_PORT",),
    port=8080,
)
