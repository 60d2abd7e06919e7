"""The network: importable, so that its weights are saved as safetensors and not as a pickle."""

from __future__ import annotations

import torch
from torch import nn


class DigitNet(nn.Module):
    """A small convolutional network: float32[rows, 1, 8, 8] in, float32[rows, 10] logits out."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * channels * 16, 10),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(images)
        return logits
