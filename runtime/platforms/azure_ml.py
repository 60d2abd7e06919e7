"""Azure Machine Learning online endpoints.

https://learn.microsoft.com/azure/machine-learning/how-to-deploy-custom-container

The deployment says in `inference_config` which port and paths are asked; `/score` is what its own images use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .platform import Platform, Routes


@dataclass(frozen=True)
class AzureML(Platform):
    def routes(self, environ: Mapping[str, str]) -> Routes:  # noqa: ARG002 - always the same
        return Routes(predict=("/score",))


PLATFORM = AzureML(
    name="azure-ml",
    title="Azure ML",
    signs=("AZUREML_MODEL_DIR",),
)
