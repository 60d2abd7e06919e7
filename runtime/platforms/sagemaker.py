"""Amazon SageMaker: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html

It starts the image with the argument `serve`, asks port 8080, and kills 30 s after SIGTERM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .platform import Platform

FOLDER = Path("/opt/ml")
"""Where SageMaker puts the model's files."""
_PREFIX = "SAGEMAKER_"


@dataclass(frozen=True)
class SageMaker(Platform):
    def sign(self, environ: Mapping[str, str], argument: str) -> str:
        """SageMaker need not set any variable: besides them its folder tells, and at last the argument."""
        found = next((name for name in sorted(environ) if name.startswith(_PREFIX)), "")
        if not found and argument == "serve" and FOLDER.is_dir():
            found = str(FOLDER)
        return found


PLATFORM = SageMaker(
    name="sagemaker",
    title="Amazon SageMaker",
    port_variables=("SAGEMAKER_BIND_TO_PORT",),
    port=8080,
)
