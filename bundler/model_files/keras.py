"""Keras and TensorFlow: `.keras` archives, HDF5 files, SavedModel folders."""

from __future__ import annotations

from .found import Found
from .head import Head

_HDF5 = b"\x89HDF\r\n\x1a\n"


def look(head: Head) -> Found | None:
    if {"config.json", "metadata.json", "model.weights.h5"} <= set(head.members):
        return Found(path=head.path, what="a Keras model", framework="keras")
    if head.data.startswith(_HDF5):
        return _hdf5(head)
    if head.data[4:8] == b"TFL3":
        return Found(
            path=head.path,
            what="a TensorFlow Lite model",
            advice="it is made for phones; serve the model that it was converted from",
        )
    if head.has("saved_model.pb"):
        return Found(path=head.path, what="a TensorFlow SavedModel", framework="tensorflow")
    return None


def _hdf5(head: Head) -> Found:
    """Whole models carry their architecture as an attribute of that name."""
    if b"model_config" in head.data:
        return Found(
            path=head.path,
            what="a Keras model in HDF5, its former form",
            advice="load it and save it anew: keras.models.load_model(path).save('model.keras')",
        )
    return Found(
        path=head.path,
        what="an HDF5 file without a Keras architecture: weights, or data",
        advice="save the whole model: model.save('model.keras')",
    )
