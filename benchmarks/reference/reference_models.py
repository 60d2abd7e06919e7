"""The models of the comparison, the same in every peer's environment.

Every peer's `server.py` finds this module on its path. A model is made anew in each process from fixed data
or a fixed seed, so that no pickle has to travel between versions of a library; frameworks are imported by the
model that needs them. Each takes a batch, `x: float32[n, ...]`, and gives one result a row.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

CLASSES = ["setosa", "versicolor", "virginica"]
SLOW_FIXED_S = 0.010
SLOW_ROW_S = 0.0001


class Iris:
    """Logistic regression on Fisher's irises: `float32[n, 4]` → n names."""

    def __init__(self) -> None:
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression

        x, y = load_iris(return_X_y=True)
        self.model = LogisticRegression(max_iter=1000).fit(x, y)

    def __call__(self, x: Any) -> list[str]:
        return [CLASSES[i] for i in self.model.predict(np.asarray(x, dtype=np.float32))]


class Mlp:
    """784-1024-1024-10 with ReLU, random weights: `float32[n, 784]` → `float32[n, 10]`."""

    SIZES = (784, 1024, 1024, 10)

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        layers: list[Any] = []
        for weight in self.weights():
            linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
            linear.weight.data = torch.from_numpy(weight)
            layers += [linear, torch.nn.ReLU()]
        self.torch = torch
        self.network = torch.nn.Sequential(*layers[:-1]).eval()

    @classmethod
    def weights(cls) -> list[np.ndarray]:
        """The matrices, outputs × inputs, in order."""
        draw = np.random.default_rng(0)
        return [
            (draw.standard_normal((out, into)) / np.sqrt(into)).astype(np.float32)
            for into, out in zip(cls.SIZES[:-1], cls.SIZES[1:], strict=True)
        ]

    def __call__(self, x: Any) -> np.ndarray:
        rows = np.asarray(x, dtype=np.float32)
        with self.torch.inference_mode():
            return self.network(self.torch.from_numpy(rows)).numpy()  # type: ignore[no-any-return]


class Slow:
    """10 ms + 0.1 ms a row, without using the processor: `float32[n, 1]` → the same, doubled."""

    def __call__(self, x: Any) -> np.ndarray:
        rows = np.asarray(x, dtype=np.float32)
        time.sleep(SLOW_FIXED_S + SLOW_ROW_S * len(rows))
        return rows * 2


MODELS = {"iris": Iris, "mlp": Mlp, "slow": Slow}
BATCH = 64
"""Most rows of a batch, in every peer."""


def load(name: str) -> Any:
    """The model of that name, ready to be called with a batch."""
    return MODELS[name]()


def plain(result: Any) -> list[Any]:
    """A batch's result as what JSON can say, one item a row."""
    return result.tolist() if isinstance(result, np.ndarray) else list(result)
