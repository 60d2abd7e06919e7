"""Any Kubernetes: https://kubernetes.io/docs/tutorials/services/connect-applications-service/

The kubelet kills `terminationGracePeriodSeconds`, 30 s unless said, after SIGTERM."""

from __future__ import annotations

from .platform import Platform

PLATFORM = Platform(
    name="kubernetes",
    title="Kubernetes",
    second_port=True,
    signs=("KUBERNETES_SERVICE_HOST",),
)
