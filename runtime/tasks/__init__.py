"""What services for common tasks are made of; public as `tiffin.tasks`."""

from __future__ import annotations

from .labels import Label, labelled, probabilities, ranked

__all__ = ["Label", "labelled", "probabilities", "ranked"]
