"""Azure Machine Learning online endpoints.

https://learn.microsoft.com/azure/machine-learning/how-to-deploy-custom-container"""

from __future__ import annotations

from .platform import Platform

PLATFORM = Platform(
    name="azure-ml",
    title="Azure ML",
    signs=("AZUREML_MODEL_DIR",),
)
