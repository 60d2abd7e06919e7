"""The network: importable, so that its weights are saved as safetensors and not as a pickle."""

from __future__ import annotations

import torch
from torch import nn


class SpaceNet(nn.Module):
    """How likely a word ends behind each letter: int64[texts, letters] in, float32[texts, letters] out.

    0 is padding. It is taken out again after every layer, so that a text gets the same answer in any company.
    """

    def __init__(self, width: int = 48, layers: int = 2) -> None:
        super().__init__()
        self.letters = nn.Embedding(27, width, padding_idx=0)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 7, padding=3) for _ in range(layers))
        self.score = nn.Linear(width, 1)

    def forward(self, letters: torch.Tensor) -> torch.Tensor:
        real = (letters > 0).unsqueeze(1).float()
        hidden = self.letters(letters).transpose(1, 2)
        for layer in self.layers:
            hidden = (hidden + torch.relu(layer(hidden))) * real
        scores: torch.Tensor = self.score(hidden.transpose(1, 2)).squeeze(2).sigmoid()
        return scores
