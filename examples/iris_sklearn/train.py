"""Trains a classifier on Fisher's irises and saves it to the model store."""

from __future__ import annotations

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import tiffin

data = load_iris()
train_x, test_x, train_y, test_y = train_test_split(
    data.data, data.target, test_size=0.3, random_state=0, stratify=data.target
)
classifier = LogisticRegression(max_iter=1000).fit(train_x, train_y)
accuracy = float(classifier.score(test_x, test_y))

model = tiffin.models.save(
    "iris",
    classifier,
    example=data.data[:2],  # gives names, shapes and dtypes of inputs and outputs
    classes=[str(name) for name in data.target_names],
    labels={"team": "botany"},
    metadata={"accuracy": accuracy},
)
print(f"{model.tag}  accuracy {accuracy:.3f}")
