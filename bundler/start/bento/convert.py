"""`bundle init --from-bento`: a BentoML project as one of ours, beside it or in another folder."""

from __future__ import annotations

import ast
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from ....errors import ConfigError
from ....runtime.service.bundlefile import BUNDLEFILE
from ..project import write_files
from .arrays import ARRAY_NAMES
from .bundlefile import Carrying
from .code import NewService, Source, new_services, old_service, read_source
from .edits import Edits
from .model_calls import carry_imports, carry_models, leftovers
from .new_style import carry_class
from .notes import Notes, Said
from .old_style import OldStyle
from .options import BENTOFILES, BuildOptions, read_options

_SERVICE_FILES = ("service.py", "bentoml_service.py", "app.py")
_REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What was written, and what is left to do."""

    name: str
    """Of the service's class."""
    source: Path
    folder: Path
    files: list[str]
    carried: list[Said]
    left: list[Said]
    next_steps: list[str]


def convert(bento: Path, folder: Path) -> Converted:
    """Reads the project, without importing it, and writes `bundlefile.yaml`, requirements and a service.

    Args:
        bento: folder of the BentoML project.
        folder: where the new files go; the same folder is right.

    Raises:
        ConfigError: there is no BentoML project, or a file of it is damaged.
        AlreadyExistsError: a file that would be written exists; nothing was written.
    """
    bento, folder = bento.absolute(), folder.absolute()
    notes = Notes()
    options = read_options(bento)
    source = _source(bento, options)
    carrying = Carrying(options, bento, notes)
    carrying.carry()
    name, text, tags = _service(source, options, notes, carrying)
    module = "service" if not (folder / "service.py").exists() else "tiffin_service"
    requirements = _REQUIREMENTS if not (folder / _REQUIREMENTS).exists() else "requirements-tiffin.txt"
    texts = {f"{module}.py": text}
    _requirements(carrying, requirements, texts, notes)
    if carrying.file.get("include"):
        carrying.file["include"] = list(dict.fromkeys([*carrying.file["include"], f"{module}.py"]))
    if folder == bento:  # what BentoML reads stays, and is not needed to serve
        carrying.file["exclude"] = [
            *carrying.file.get("exclude", []),
            source.name,
            *filter(None, [options.file]),
        ]
    texts[BUNDLEFILE] = carrying.text(f"{module}:{name}")
    if folder != bento:
        texts |= carrying.texts
        _not_copied(source, bento, notes)
    write_files(folder, texts)
    return Converted(
        name=name,
        source=bento / (options.file or source.name),
        folder=folder,
        files=list(texts),
        carried=notes.carried,
        left=sorted(notes.left, key=_place),
        next_steps=_next_steps(bento, folder, tags),
    )


def _requirements(carrying: Carrying, name: str, texts: dict[str, str], notes: Notes) -> None:
    """Adds the file of requirements, unless conda's is the one that counts."""
    conda = carrying.python.get("requirements", "")
    if conda and carrying.requirements.lines:
        notes.leave(
            conda, f"is what the bundle is built from; add to it: {', '.join(carrying.requirements.lines)}"
        )
    elif carrying.requirements.lines:
        texts[name] = "".join(f"{line}\n" for line in carrying.requirements.lines)
        carrying.python["requirements"] = name
    if carrying.python:
        carrying.file["python"] = carrying.python


def _place(said: Said) -> tuple[str, int]:
    file, _, line = said.where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (said.where, 0)


def _source(bento: Path, options: BuildOptions) -> Source:
    """The file that has the service."""
    named = str(options.values.get("service", ""))
    module = named.partition(":")[0].removesuffix(".py").replace("/", ".")
    for name in [f"{module.replace('.', '/')}.py"] if module else _SERVICE_FILES:
        if (bento / name).is_file():
            return read_source(bento / name, name)
    if module:
        raise ConfigError(
            f"{options.where('service')}: service {named!r}: {bento} has no {module.replace('.', '/')}.py"
        )
    raise ConfigError(
        f"no BentoML project in {bento}: tried {', '.join(BENTOFILES)}, [tool.bentoml.build] of "
        "pyproject.toml and "
        f"{', '.join(_SERVICE_FILES)}"
    )


def _service(
    source: Source, options: BuildOptions, notes: Notes, carrying: Carrying
) -> tuple[str, str, list[str]]:
    """Class, source and models of the new service."""
    wanted = str(options.values.get("service", "")).partition(":")[2]
    edits = Edits(source.text)
    tags = carry_models(source, edits, notes)
    classes, old = new_services(source), old_service(source)
    more: list[str] = []
    if classes:
        name = _main(classes, wanted, source, notes)
        for service in classes:
            carry_class(service, source, edits, notes, carrying)
        more = _jaxtyping(edits.result(), source)
    elif old is not None:
        style = OldStyle(old, source, edits, notes)
        name, more = style.carry(), style.imports
    else:
        raise ConfigError(
            f"{source.name} has neither a class with @bentoml.service nor a bentoml.Service: name its file "
            "in "
            "bentofile.yaml, service: module:Class (BentoML 0.13 is not read)"
        )
    draft = edits.result()
    keep = leftovers(draft, source, notes)
    typing = "Any" in draft and any("Any was written" in said.what for said in notes.left)
    carry_imports(source, edits, keep=keep, typing=typing or "from typing import Any" in more)
    text = _with_imports(edits.result(), [line for line in more if line != "from typing import Any"])
    text = re.sub(r"\n{4,}", "\n\n\n", text)
    try:
        ast.parse(text)
    except SyntaxError as error:  # a bug of ours: say so, and write nothing that cannot be read
        raise ConfigError(
            f"{source.name}:{error.lineno}: this could not be carried over ({error.msg}): write the service "
            "by hand"
        ) from error
    return name, text, tags


def _jaxtyping(text: str, source: Source) -> list[str]:
    """The import of names such as `Float32` that were written into the code."""
    written = {
        node.value.id
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)
    }
    names = sorted(name for name in written & ARRAY_NAMES if name not in source.names)
    return [f"from jaxtyping import {', '.join(names)}"] if names else []


def _main(classes: list[NewService], wanted: str, source: Source, notes: Notes) -> str:
    names = [service.node.name for service in classes]
    if wanted and wanted not in names:
        raise ConfigError(f"{source.name} has no class {wanted}; it has {', '.join(names)}")
    if len(names) > 1:
        notes.leave(
            source.where(classes[0].node),
            f"{', '.join(names)} are several services; a bundle serves one, {wanted or names[-1]}: make the "
            "others its runners",
        )
    return wanted or names[-1]


def _with_imports(text: str, lines: list[str]) -> str:
    if not lines:
        return text
    at = text.index("import tiffin")
    return text[:at] + "\n".join([*lines, ""]) + text[at:]


def _not_copied(source: Source, bento: Path, notes: Notes) -> None:
    """Modules of the project that the service imports, when the new files go elsewhere."""
    for node in source.tree.body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for name in names:
            top = name.partition(".")[0]
            if (bento / f"{top}.py").is_file() or (bento / top / "__init__.py").is_file():
                notes.leave(
                    source.where(node),
                    f"{top} is of the old project and was not copied: put it beside the new service",
                )


def _next_steps(bento: Path, folder: Path, tags: list[str]) -> list[str]:
    enter = [f"cd {shlex.quote(str(folder))}"] if folder != Path.cwd() else []
    save = []
    if tags:
        script = _training(bento)
        what = f"tiffin.models.save, for {', '.join(tags)}"
        command = f"python {shlex.quote(os.path.relpath(script, folder))}  # with {what}" if script else ""
        save = [command or f"# where you train: {what}"]
    return [*enter, *save, "bundle doctor .", "bundle serve --reload", "bundle build"]


def _training(bento: Path) -> Path | None:
    """The script of the project that saves models."""
    for path in sorted(bento.glob("*.py")):
        if "save_model(" in path.read_text(encoding="utf-8", errors="replace"):
            return path
    return None
