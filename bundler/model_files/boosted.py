"""LightGBM's text and CatBoost's binary: boosted trees that begin with words of their own."""

from __future__ import annotations

from .found import Found
from .head import Head


def look_lightgbm(head: Head) -> Found | None:
    lines = head.data[:4096].splitlines()[:12]
    if lines[:1] == [b"tree"] and any(line.startswith(b"num_class=") for line in lines):
        return Found(path=head.path, what="a LightGBM model", framework="lightgbm")
    return None


def look_catboost(head: Head) -> Found | None:
    if head.data[:4] == b"CBM1":
        return Found(path=head.path, what="a CatBoost model", framework="catboost")
    return None
