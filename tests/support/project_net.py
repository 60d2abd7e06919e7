"""Torch modules as a user's project defines them: importable from the project's folder, not installed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class DigitNet(nn.Module):
    """float32[rows, 1, 8, 8] in, float32[rows, 10] out."""

    def __init__(self, channels: int = 4, stride: int = 1, *, clip: float = 1.0) -> None:
        super().__init__()
        self.clip = clip
        self.conv = nn.Conv2d(1, channels, 3, padding=1, stride=stride)
        self.norm = nn.BatchNorm2d(channels)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(channels * 16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.norm(self.conv(images)).relu().clamp(max=self.clip)
        logits: torch.Tensor = self.head(self.drop(self.pool(features)).flatten(1))
        return logits


class Tied(nn.Module):
    """One matrix with two names."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(8, 8, bias=False)
        self.decoder = nn.Linear(8, 8, bias=False)
        self.decoder.weight = self.encoder.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.decoder(self.encoder(x))
        return out


class Scaled(nn.Module):
    """A buffer that is not saved with the weights, and an LSTM, which refers to its weights twice."""

    def __init__(self, scale: float = 2.0) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 3, batch_first=True)
        self.register_buffer("scale", torch.full((3,), scale), persistent=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> dict[str, Any]:
        out, _ = self.lstm(x)
        last = out[:, -1] * self.scale
        return {"last": last if mask is None else last * mask, "all": (out, last)}


class InPlace(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul_(2.0)
