"""Writes a new project: all of its files, or none."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ...errors import AlreadyExistsError, BuildError, UsageError
from ..rendering import environment
from ..target import path_of
from .names import Names, names_of
from .templates import Template, template


@dataclass(frozen=True, kw_only=True)
class Project:
    """What was written."""

    folder: Path
    template: str
    names: Names
    files: list[str]
    """Relative to the folder, in the order of writing."""
    next_steps: list[str]


def init_project(folder: Path, template_name: str) -> Project:
    """Fills a folder, which is made when it does not exist.

    Args:
        folder: names of service, model and bundle follow from its name.
        template_name: `sklearn`, `torch` …

    Raises:
        UsageError: no such template, or a file where the folder should be.
        AlreadyExistsError: a file that would be written exists; nothing was written.
        OSError: it may not be written.
    """
    chosen = template(template_name)
    place = folder.absolute()
    names = names_of(place.name)
    texts = render(chosen, names)
    write_files(place, texts)
    return Project(
        folder=place,
        template=chosen.name,
        names=names,
        files=list(texts),
        next_steps=next_steps(folder, names.name, chosen),
    )


def render(chosen: Template, names: Names) -> dict[str, str]:
    """Path to text; the same name gives the same project."""
    facts = {
        **asdict(names),
        "template": chosen.name,
        "about": chosen.about,
        "about_yaml": f'"{chosen.about}"',
        "route": chosen.route,
        "body": chosen.body,
        "files": chosen.files,
        "train_note": " ($TIFFIN_HOME, ~/.tiffin)"
        if chosen.name != "custom"
        else ", as a file beside the code",
    }
    made = environment({})
    return {path: made.get_template(source).render(facts) for path, source in chosen.paths().items()}


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """
    Raises:
        UsageError: the folder is a file.
        AlreadyExistsError: one of the files exists; nothing was written.
        BuildError: the disk is full, or the folder may not be written.
    """
    if path_of(folder).exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder for the project")
    present = [path for path in texts if (folder / path).exists() or (folder / path).is_symlink()]
    if present:
        raise AlreadyExistsError(
            f"{folder} has {', '.join(present)} already, and nothing is overwritten: name a new folder"
        )
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    written: list[Path] = []
    try:
        for path, text in texts.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as writer:
                written.append(file)
                writer.write(text)
    except OSError as error:
        for file in written:
            file.unlink(missing_ok=True)
        for each in made:
            if each.is_dir() and not any(each.iterdir()):
                each.rmdir()
        raise BuildError(
            f"cannot write {error.filename or folder}: {error.strerror}; nothing was left there: name a "
            "folder that can be written"
        ) from error


def next_steps(folder: Path, name: str, chosen: Template) -> list[str]:
    """What to type, from the folder that `bundle init` was typed in."""
    enter = [f"cd {shlex.quote(str(folder))}"] if folder.absolute() != Path.cwd() else []
    return [
        *enter,
        f"pip install {' '.join(chosen.packages)} pytest",
        "python train.py",
        "pytest",
        "bundle serve --reload  # http://localhost:3000",
        f"bundle build && bundle serve {name}:latest",
    ]
