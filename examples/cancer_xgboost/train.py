"""Trains boosted trees on the Wisconsin breast-cancer data and saves them as UBJ, not as a pickle."""

from __future__ import annotations

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

import tiffin

data = load_breast_cancer()
train_x, test_x, train_y, test_y = train_test_split(
    data.data, data.target, test_size=0.3, random_state=0, stratify=data.target
)
trees = XGBClassifier(n_estimators=60, max_depth=3, random_state=0).fit(train_x, train_y)
accuracy = float(trees.score(test_x, test_y))

model = tiffin.models.save(
    "cancer",
    trees,
    example=data.data[:2],
    classes=[str(name) for name in data.target_names],
    metadata={"accuracy": accuracy, "features": [str(name) for name in data.feature_names]},
)
print(f"{model.tag}  accuracy {accuracy:.3f}")
