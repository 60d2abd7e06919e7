"""A saved model: its manifest at hand, its weights on demand."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import (
    IntegrityError,
    InvalidTagError,
    MissingDependencyError,
    ModelError,
    NotFoundError,
    TiffinError,
)
from ..digest import content_digest
from ..manifest import MODEL_FILE, ModelInfo, load_yaml
from ..tag import Tag
from ..verify import check_entries, check_files, describe_damage
from .framework import Framework, framework
from .pickles import check_allowed
from .versions import differences

log = logging.getLogger(__name__)


class Model:
    """One version of a model. Nothing is read before it is asked for.

    Args:
        path: folder with `model.yaml` and the files that it names.
        tag: name and full version, which the manifest must bear out.
    """

    def __init__(self, path: Path, tag: Tag) -> None:
        self.path = path
        self.tag = tag

    @classmethod
    def open(cls, path: Path | str) -> Model:
        """The model in a folder, whatever the folder is called.

        Raises:
            NotFoundError: no model.yaml there.
            IntegrityError: model.yaml is damaged.
        """
        folder = Path(path)
        info = read_info(folder)
        model = cls(folder, Tag(info.name, info.version))
        model.__dict__["info"] = info
        return model

    @cached_property
    def info(self) -> ModelInfo:
        """`model.yaml`.

        Raises:
            NotFoundError: it was deleted meanwhile.
            IntegrityError: it is damaged, or another model's.
        """
        info = read_info(self.path)
        if (info.name, info.version) != (self.tag.name, self.tag.version):
            raise IntegrityError(f"{self.path / MODEL_FILE} says that it is {info.name}:{info.version}")
        return info

    @property
    def classes(self) -> list[str]:
        """The label file: class index to word."""
        return self.info.classes

    @property
    def labels(self) -> dict[str, str]:
        return self.info.labels

    @property
    def metadata(self) -> dict[str, Any]:
        return self.info.metadata

    @property
    def framework(self) -> Framework:
        """Calls the loaded model.

        Raises:
            ModelError: nothing here knows that framework.
        """
        return framework(self.info.framework)

    def verify(self) -> None:
        """Reads every file and compares it with the manifest.

        Raises:
            IntegrityError: names the files that are missing or hold other bytes.
        """
        if damage := check_files(self.path, self.info.files):
            raise IntegrityError(f"{self.tag} in {self.path} is damaged:\n{describe_damage(damage)}")

    def load(self, device: str = "auto") -> Any:
        """The model as its framework has it: an estimator, a module, the object that was saved.

        Args:
            device: `auto` (the first GPU that this process may see, else the CPU), `cpu`, `cuda`, `cuda:1` …;
                frameworks without devices take no notice.

        Raises:
            IntegrityError: the files are not what was saved; found before any of them is unpickled.
            ModelError: a pickle where `TIFFIN_ALLOW_PICKLE=0`, a framework that is not installed, or whatever
                goes wrong while loading.
        """
        info = self.info
        if info.pickled:
            check_allowed(str(self.tag))
        self.verify()
        if different := differences(info.versions):
            log.warning("%s was saved with other versions: %s", self.tag, ", ".join(different))
        try:
            return self.framework.load(self.path, info, device)
        except MissingDependencyError as error:
            raise ModelError(f"{self.tag} is a {info.framework} model: {error}") from error
        except TiffinError:
            raise
        except Exception as error:
            raise ModelError(
                f"{self.tag} ({info.framework}) cannot be loaded: {type(error).__name__}: {error}"
            ) from error

    def __repr__(self) -> str:
        try:
            info = self.info
        except TiffinError as error:
            return f"<Model {self.tag} unreadable: {error}>"
        parts = [info.framework, *(["pickled"] if info.pickled else []), f"{info.size_bytes:,} bytes"]
        if info.methods:
            parts.append("methods " + ", ".join(info.methods))
        if info.classes:
            parts.append(f"{len(info.classes)} classes")
        return f"<Model {self.tag} {'; '.join(parts)}>"

    def _repr_html_(self) -> str:
        """For notebooks."""
        from .model_card import model_card

        return model_card(self)


def read_info(folder: Path, data: bytes | None = None) -> ModelInfo:
    """A manifest that is consistent in itself.

    Args:
        folder: of the model; named in errors.
        data: content of `model.yaml`, when it was read already.

    Raises:
        NotFoundError: no model there.
        IntegrityError: not a manifest, hostile paths, or not the digest of its content.
    """
    path = folder / MODEL_FILE
    try:
        text = (path.read_bytes() if data is None else data).decode()
        info = load_yaml(path, ModelInfo, text=text)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"no model in {folder}: it has no {MODEL_FILE}") from None
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{path} is not text: {error}") from error
    problem = check_entries([*info.files, *info.examples], manifest=MODEL_FILE)
    if problem is None and info.size_bytes != sum(file.size_bytes for file in info.files):
        problem = "size_bytes is not the sum of its files"
    if problem is None and model_digest(info) != info.digest:
        problem = "its digest is not the one of its content"
    if problem is not None:
        raise IntegrityError(f"{path} is damaged or was edited: {problem}")
    try:
        Tag(info.name, info.version)
    except InvalidTagError as error:
        raise IntegrityError(f"{path} is damaged or was edited: {error}") from error
    return info


def model_digest(info: ModelInfo) -> str:
    """`sha256:…` over framework, options and files; name, version, time and words about it do not count."""
    return content_digest(
        info.files, framework=info.framework, options=info.options, pickled=info.pickled, format=info.format
    )
