"""From BentoML's build options to our bundlefile and requirements."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ....errors import ConfigError
from ....runtime.service.bundlefile import BundleFile
from .image import Image
from .notes import Notes
from .options import IGNORE, BuildOptions, mapping, several, text_of
from .requirements import Requirements


class Carrying:
    """One project's options on their way.

    Args:
        options: as read.
        folder: of the BentoML project.
        notes: gets what was carried over and what was not.
    """

    def __init__(self, options: BuildOptions, folder: Path, notes: Notes) -> None:
        self.file: dict[str, Any] = {}
        self.python: dict[str, str] = {}
        self.requirements = Requirements(folder, notes)
        self.image = Image(notes)
        self.texts: dict[str, str] = {}
        """Files of the project that the new one needs as they are."""
        self._options = options
        self._folder = folder
        self._notes = notes

    def carry(self) -> None:
        """Goes through every key; one that nobody knows is left to the person."""
        known: dict[str, Callable[[str, Any], None]] = {
            "service": self._service,
            "name": self._name,
            "description": self._description,
            "labels": self._labels,
            "include": self._patterns,
            "exclude": self._patterns,
            "models": self._models,
            "python": self._python,
            "docker": self._docker,
            "envs": self._envs,
            "conda": self._conda,
        }
        for key, value in self._options.values.items():
            if key in known:
                known[key](key, value)
            else:
                self._leave(key, f"`{key}` has no counterpart in a bundlefile")
        for line in self._options.dependencies:
            self.requirements.add(line, f"{self._options.file or 'pyproject.toml'} [project]")
        ignore = self._folder / IGNORE
        if ignore.is_file():
            lines = [line.strip() for line in ignore.read_text(encoding="utf-8").splitlines()]
            self.exclude([line for line in lines if line and not line.startswith("#")], IGNORE)

    def exclude(self, patterns: list[str], where: str) -> None:
        self.file["exclude"] = list(dict.fromkeys([*self.file.get("exclude", []), *patterns]))
        self._notes.took(where, f"exclude: {', '.join(patterns)}")

    def text(self, service: str) -> str:
        """Of `bundlefile.yaml`.

        Args:
            service: `module:Class` of the new service.

        Raises:
            ConfigError: it would not be read again.
        """
        image = msgspec.to_builtins(self.image.options)
        content = {"service": service, **self.file, **({"image": image} if image else {})}
        order = [
            "service",
            "name",
            "description",
            "labels",
            "include",
            "exclude",
            "models",
            "python",
            "image",
        ]
        content = {key: content[key] for key in order if content.get(key)}
        try:
            msgspec.convert(content, BundleFile)
        except msgspec.ValidationError as error:
            raise ConfigError(f"what was carried over makes no bundlefile: {error}") from error
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)

    def _text(self, name: str, what: str, where: str) -> str | None:
        return text_of(self._folder, name, what, where, self._notes)

    def _several(self, value: Any, where: str) -> list[Any]:
        return several(value, where, self._notes)

    def _mapping(self, value: Any, where: str) -> dict[Any, Any]:
        return mapping(value, where, self._notes)

    def _leave(self, key: str, what: str) -> None:
        self._notes.leave(self._options.where(key), what)

    def _took(self, key: str, what: str) -> None:
        self._notes.took(self._options.where(key), what)

    def _service(self, key: str, value: Any) -> None:
        """Read by `convert`, which writes another one."""

    def _name(self, key: str, value: Any) -> None:
        name = re.sub(r"[^a-z0-9._-]+", "-", str(value).lower()).strip("-._")
        self.file["name"] = name
        self._took(key, f"name: {name}")

    def _description(self, key: str, value: Any) -> None:
        text = str(value).strip()
        if text.startswith("file:"):
            found = self._text(
                text.removeprefix("file:").strip(), "description's file", self._options.where(key)
            )
            if found is None:
                return
            text = found.strip()
        self.file["description"] = text
        self._took(key, "description")

    def _labels(self, key: str, value: Any) -> None:
        if isinstance(value, dict):
            self.file["labels"] = {str(name): str(word) for name, word in value.items()}
            self._took(key, f"labels: {', '.join(self.file['labels'])}")
        elif value:
            self._leave(key, "labels are no mapping of names to words")

    def _patterns(self, key: str, value: Any) -> None:
        patterns = [str(each) for each in self._several(value, self._options.where(key))]
        if key == "exclude":
            self.exclude(patterns, self._options.where(key))
        elif patterns:
            self.file["include"] = patterns
            self._took(key, f"include: {', '.join(patterns)}")

    def _models(self, key: str, value: Any) -> None:
        tags = []
        for each in self._several(value, self._options.where(key)):
            tag = each.get("tag", "") if isinstance(each, dict) else str(each)
            if isinstance(each, dict) and (extra := sorted(each.keys() - {"tag"})):
                self._leave(
                    key, f"{' and '.join(extra)} of model {tag or '(none)'}: name the version you mean"
                )
            if tag:
                tags.append(tag)
        self.file["models"] = tags
        if tags:
            self._leave(
                key,
                f"the models {', '.join(tags)} are in BentoML's store: save them into this one with "
                "tiffin.models.save, under the same names",
            )

    def _python(self, key: str, value: Any) -> None:
        for name, each in self._mapping(value, self._options.where(key)).items():
            dotted = f"{key}.{name}"
            where = self._options.where(dotted)
            if name == "packages":
                for line in self._several(each, where):
                    self.requirements.add(str(line), where)
            elif name == "requirements_txt":
                self.requirements.add_file(str(each), where)
            elif name in {"index_url", "extra_index_url", "find_links"}:
                option = "--" + name.replace("_", "-")
                for address in self._several(each, where):
                    self.requirements.index(f"{option} {address}", where)
            elif name == "lock_packages":
                if each is False:
                    self._notes.leave(
                        where, "lock_packages: false: bundles are locked; `bundle build --no-lock` skips it"
                    )
                else:
                    self._notes.took(where, "locking is what `bundle build` does")
            elif name == "pack_git_packages":
                self._notes.took(where, "git packages are pinned to a commit by the lock")
            elif name == "wheels":
                wheels = ", ".join(map(str, self._several(each, where)))
                self._notes.leave(where, f"wheels {wheels}: install the package here, or publish it")
            elif each:
                self._notes.leave(
                    where, f"python.{name} has no counterpart: configure uv (uv.toml) where you build"
                )

    def python_version(self, version: str, where: str) -> None:
        """The Python of images; BentoML takes 3.12.1 too, a bundle 3.12."""
        # Without quotes 3.10 is the number 3.1 in YAML, and nobody means the Python of that name.
        self.python["version"] = "3.10" if version == "3.1" else ".".join(version.split(".")[:2])
        self._notes.took(where, f"python: version: {self.python['version']}")

    def _docker(self, key: str, value: Any) -> None:
        for name, each in self._mapping(value, self._options.where(key)).items():
            where = self._options.where(f"{key}.{name}")
            if name == "distro":
                self.image.distro(str(each), where)
            elif name == "python_version":
                self.python_version(str(each), where)
            elif name == "cuda_version":
                self.image.set(where, cuda=".".join(str(each).split(".")[:2]))
            elif name == "system_packages":
                self.image.set(
                    where, system_packages=[str(package) for package in self._several(each, where)]
                )
            elif name == "base_image":
                self.image.set(where, base=str(each))
            elif name == "env":
                self.image.set_variables(each, where)
            elif name == "setup_script":
                self._notes.leave(
                    where, f"setup_script {each}: write its commands as RUN into image.dockerfile_template"
                )
            elif name == "dockerfile_template":
                self._notes.leave(
                    where, f"dockerfile_template {each}: its blocks have other names: docs/12-images.md"
                )
            elif each:
                self._notes.leave(where, f"docker.{name} has no counterpart")

    def _envs(self, key: str, value: Any) -> None:
        self.image.set_variables(value, self._options.where(key))

    def _conda(self, key: str, value: Any) -> None:
        given = self._mapping(value, self._options.where(key))
        for line in self._several(given.get("pip"), self._options.where(f"{key}.pip")):
            self.requirements.add(str(line), self._options.where(f"{key}.pip"))
        if file := given.get("environment_yml"):
            self._environment_yml(Path(str(file)).as_posix(), self._options.where(f"{key}.environment_yml"))
        if names := self._several(given.get("dependencies"), self._options.where(f"{key}.dependencies")):
            self._leave(
                f"{key}.dependencies",
                f"conda's {', '.join(map(str, names))}: name the same packages of PyPI in the requirements",
            )

    def _environment_yml(self, name: str, where: str) -> None:
        text = self._text(name, "environment file", where)
        if text is not None and not (self._folder / name).resolve().is_relative_to(self._folder.resolve()):
            mend = f"copy it, and name it in bundlefile.yaml: python: {{requirements: {Path(name).name}}}"
            self._notes.leave(where, f"the environment file {name} lies outside of the folder: {mend}")
        elif text is not None:
            self.python["requirements"] = name
            self.texts[name] = text
            self._notes.took(where, f"requirements of {name}")
