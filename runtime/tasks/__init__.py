"""What services for common tasks are made of; public as `tiffin.tasks`."""

from __future__ import annotations

from .audio_classification import AudioClassification
from .embedding import Embedding
from .image_classification import ImageClassification
from .labels import Label, labelled, probabilities, ranked
from .object_detection import Box, ObjectDetection
from .ocr import Ocr, Reading
from .pixels import IMAGENET_MEAN, IMAGENET_STD, Pixels
from .segmentation import Segment, Segmentation, Segmented
from .sound import Sound
from .tabular import Tabular
from .text_classification import TextClassification
from .time_series import Forecast, TimeSeries
from .video import FrameLabels, frames

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "AudioClassification",
    "Box",
    "Embedding",
    "Forecast",
    "FrameLabels",
    "ImageClassification",
    "Label",
    "ObjectDetection",
    "Ocr",
    "Pixels",
    "Reading",
    "Segment",
    "Segmentation",
    "Segmented",
    "Sound",
    "Tabular",
    "TextClassification",
    "TimeSeries",
    "frames",
    "labelled",
    "probabilities",
    "ranked",
]
