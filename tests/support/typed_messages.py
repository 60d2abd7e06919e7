"""Requests of typed gRPC made from arguments, and a comparison that looks into arrays."""

from __future__ import annotations

import decimal
import enum
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import torch
from PIL import Image

from tiffin.runtime.grpc.typed.method import TypedMethod


def request_of(method: TypedMethod, arguments: dict[str, Any]) -> bytes:
    """The request message that says the same as a call with these arguments."""
    made = method._request()
    for slot in method._slots:
        if slot.key in arguments:
            slot.put(made, arguments[slot.key])
    body: bytes = made.SerializeToString()
    return body


def same(one: Any, other: Any) -> bool:
    if isinstance(one, (np.ndarray, torch.Tensor)):
        return (
            type(one) is type(other)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and bool((one == other).all())
        )
    if isinstance(one, (pydantic.BaseModel, enum.Enum, float, int, Image.Image)):
        return bool(one == other)
    if isinstance(one, pd.DataFrame):
        # Rows without columns have no form in columns.
        return bool(one.equals(other)) or not (len(one.columns) or len(other.columns))
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(one[k], other[k]) for k in one)
        )
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__dict__") and not isinstance(one, (str, uuid.UUID, decimal.Decimal)):
        return type(one) is type(other) and same(vars(one), vars(other))
    return type(one) is type(other) and bool(one == other)
