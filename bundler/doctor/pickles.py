"""Files that run code when they are loaded, and what in them should not be there.

Nothing is unpickled. The names that a pickle calls stand in it as text; those that start programs or
evaluate text have no business in a model. A hostile file can hide them: that none is found proves nothing.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from ...errors import ModelError
from ..model_files.recognise import recognise
from ..snapshot import SourceFile
from .finding import Finding
from .patient import Patient, SavedModel

NAME = "pickles"
_READ_BYTES = 32 << 20
"""Of each file: calls stand at its beginning or end, weights between."""
_SAFE = {"sklearn": 'framework="skops"', "torch": "a state dict or an importable class", "cloudpickle": ""}
_SUFFIXES = {".pkl", ".pickle", ".joblib", ".dill"}
_PERHAPS = {".pt", ".pth", ".ckpt", ".bin", ".sav", ".model"}
"""Pickles or something else: what lies beside code and is named so is looked into."""
_MODULES = (
    rb"os|posix|nt|subprocess|pty|commands|runpy|socket|shutil|webbrowser|code|ctypes|"
    rb"builtins|__builtin__|importlib|urllib\.request|requests\.api"
)
_CALLS = (
    rb"system|popen|Popen|spawn\w*|exec\w*|eval|exec|compile|__import__|run|call|check_output|check_call|"
    rb"run_module|run_path|rmtree|open|CDLL|import_module|urlopen|urlretrieve|get|post|socket|interact|getoutput"
)
# GLOBAL: `c<module>\n<name>\n`. STACK_GLOBAL: two SHORT_BINUNICODE, each perhaps memoized, then \x93.
_DANGER = re.compile(
    rb"c(?P<m0>" + _MODULES + rb")\n(?P<n0>" + _CALLS + rb")\n"
    rb"|\x8c.(?P<m1>" + _MODULES + rb")\x94?\x8c.(?P<n1>" + _CALLS + rb")\x94?\x93",
    re.DOTALL,
)


def check(patient: Patient) -> Iterator[Finding]:
    refused = patient.machine.environ.get("TIFFIN_ALLOW_PICKLE") == "0"
    for model in patient.models:
        if not model.info.pickled:
            continue
        for file in model.info.files:
            called = dangerous(model.path / file.path)
            if called:
                yield Finding(
                    check=NAME,
                    severity="error",
                    what=f"{file.path} calls {', '.join(called)} when it is loaded",
                    where=model.tag,
                    mend=f"bundle models delete {model.tag}  # unless you know why it does",
                )
        yield _pickled(model, refused)
    for source in patient.sources:
        yield from _file(source, beside=patient.kind != "file")


def _file(source: SourceFile, *, beside: bool) -> Iterator[Finding]:
    """
    Args:
        beside: whether it lies beside code; else it is the model file that is looked at.
    """
    suffix = Path(source.path).suffix.lower()
    named = suffix in _SUFFIXES or ((not beside or suffix in _PERHAPS) and _is_pickle(source.source))
    called = dangerous(source.source) if named or not beside else []
    if called:
        yield Finding(
            check=NAME,
            severity="error",
            what=f"{source.path} calls {', '.join(called)} when it is loaded",
            where=source.path,
            mend="export TIFFIN_ALLOW_PICKLE=0  # and ask its maker for safetensors, ONNX or skops",
        )
    elif named and beside:
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"{source.path} is a pickle beside the code: neither a digest nor versions guard it",
            where=source.path,
            mend=f"bundle models save {quote(source.path)}  # and tiffin.runner(…) in the service",
        )
    elif named:
        yield Finding(
            check=NAME,
            severity="note",
            what=f"{source.path} is a pickle, which runs code when it is loaded: load only what you trust",
            where=source.path,
            mend="export TIFFIN_ALLOW_PICKLE=0  # refuses all of them",
        )


def _is_pickle(path: Path) -> bool:
    """By its content, for a name says nothing."""
    try:
        return bool(recognise(path).pickle)
    except ModelError:
        return False


def _pickled(model: SavedModel, refused: bool) -> Finding:
    safe = _SAFE.get(model.info.framework, "")
    if refused:
        return Finding(
            check=NAME,
            severity="error",
            what=f"{model.tag} is a pickle, and TIFFIN_ALLOW_PICKLE=0 refuses it",
            where=model.tag,
            mend=f"tiffin.models.save({model.info.name!r}, …, {safe})"
            if safe
            else "unset TIFFIN_ALLOW_PICKLE",
        )
    how = f": save it again with {safe}, or serve" if safe else ": serve"
    return Finding(
        check=NAME,
        severity="note",
        what=f"{model.tag} is a pickle ({model.info.framework}), which runs code when it is loaded{how} only "
        "what you made or trust",
        where=model.tag,
        mend="export TIFFIN_ALLOW_PICKLE=0  # refuses all of them",
    )


def dangerous(path: Path) -> list[str]:
    """`os.system` …: names in the file that a model has no use for; empty: none, or it cannot be read."""
    found = set()
    for data in _contents(path):
        for match in _DANGER.finditer(data):
            module, name = (match["m0"] or match["m1"]).decode(), (match["n0"] or match["n1"]).decode()
            if (module, name) not in _HARMLESS:
                found.add(f"{module}.{name}")
    return sorted(found)


_HARMLESS = {("builtins", "get"), ("os", "get"), ("builtins", "run"), ("builtins", "call")}


def _contents(path: Path) -> Iterator[bytes]:
    """The file, unpacked where it is a zip (torch) or deflated (joblib)."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    if member.filename.endswith(".pkl"):
                        with archive.open(member) as file:
                            yield file.read(_READ_BYTES)
            return
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_READ_BYTES)
            if head[:1] == b"\x78":
                yield zlib.decompressobj().decompress(head, _READ_BYTES)
                return
            if head[:2] == b"\x1f\x8b":
                yield zlib.decompressobj(31).decompress(head, _READ_BYTES)
                return
            if head[:3] == b"BZh":
                yield bz2.BZ2Decompressor().decompress(head, _READ_BYTES)
                return
            if head[:6] == b"\xfd7zXZ\x00" or head[:3] == b"]\x00\x00":
                yield lzma.LZMADecompressor().decompress(head, _READ_BYTES)
                return
            yield head
            if size > 2 * _READ_BYTES:
                file.seek(size - _READ_BYTES)
                yield file.read()
    except (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile):
        return
