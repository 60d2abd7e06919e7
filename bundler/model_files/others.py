"""Files that are no models, by name of what they seem to be, so that an error can say more than "unknown"."""

from __future__ import annotations

from .found import Found
from .head import Head
from .pickles import inflates

_COMPRESSED = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    *((b"\x78" + level, "zlib") for level in (b"\x01", b"\x5e", b"\x9c", b"\xda")),
)
_OF_TEXTS = bytes([*b"\t\n\r\f", *range(0x20, 0x7F), *range(0x80, 0x100)])
_DATA = "it holds data; give the file that the training library saved"
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (
        b"GGUF",
        "a GGUF file of llama.cpp",
        "serve it with the server of llama.cpp",
    ),
    (b"\x93NUMPY", "a NumPy array", _DATA),
    (b"PAR1", "a Parquet table", _DATA),
    (b"ARROW1", "an Arrow table", _DATA),
    (b"SQLite format 3", "a SQLite database", _DATA),
    (b"\x89PNG", "a PNG image", "give the file of a model"),
    (b"\xff\xd8\xff", "a JPEG image", "give the file of a model"),
    (b"%PDF", "a PDF document", "give the file of a model"),
    (b"\x7fELF", "a program", "give the file of a model"),
    (b"<!DOCTYPE html", "a web page", "the download went wrong: fetch the file again"),
    (b"<html", "a web page", "the download went wrong: fetch the file again"),
    (
        b"version https://git-lfs.github.com/spec",
        "a pointer of Git LFS, not the file itself",
        "fetch it: git lfs pull",
    ),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (
        b"\x04\x22\x4d\x18",
        "a file compressed by lz4",
        "save it again with compress='zlib'",
    ),
)


def look(head: Head) -> Found:
    """What else it may be; always gives something to say."""
    what, advice = _seems(head)
    return Found(path=head.path, what=what, advice=advice, model=False)


def _seems(head: Head) -> tuple[str, str]:
    if head.folder:
        return "a folder without a model that is known", _FORMATS
    for magic, what, advice in _MAGIC:
        if head.data.startswith(magic):
            return what, advice
    if head.data.startswith(b"PK\x03\x04"):
        return _zip(head)
    for magic, name in _COMPRESSED:
        if head.data.startswith(magic) and not inflates(head.data) and not _is_text(head.data):
            return f"a file compressed by {name} that is cut or damaged", "fetch or save it again"
    if head.data[257:262] == b"ustar" or head.data[:2] == b"\x1f\x8b":
        return _archive(head)
    return _bytes(head)


def _zip(head: Head) -> tuple[str, str]:
    if not head.members:
        return "a zip archive that is cut", "fetch or save it again"
    if all(name.endswith(".npy") for name in head.members):
        return "an archive of NumPy arrays", _DATA
    return "a zip archive", "unpack it and give what is inside"


def _bytes(head: Head) -> tuple[str, str]:
    if not head.size_bytes:
        return "an empty file", "save or fetch it again"
    if not head.data.strip(b"\x00"):
        return "a file of zeros", "the download or the disk went wrong: fetch it again"
    if _is_text(head.data):
        return "a text file", _FORMATS
    return "a binary file of a kind that is not known here", _FORMATS


def _is_text(data: bytes) -> bool:
    """Whether it has no bytes that texts do not have, in any encoding of one byte a character or in UTF-8."""
    return not data.translate(None, _OF_TEXTS)


def _archive(head: Head) -> tuple[str, str]:
    if b"model.yaml" in head.data[:4096]:
        return "a model that was exported", f"take it into the store: bundle models import {head.path.name}"
    if b"bundle.yaml" in head.data[:4096]:
        return "a bundle that was exported", f"take it into the store: bundle import {head.path.name}"
    return "an archive", "unpack it first; what bundle export wrote goes in with bundle import"


_FORMATS = (
    "known are scikit-learn (joblib, pickle, skops), XGBoost (UBJ, JSON), LightGBM, CatBoost, ONNX, "
    "OpenVINO, TorchScript, torch.export, Keras, MLflow, transformers and spaCy"
)
