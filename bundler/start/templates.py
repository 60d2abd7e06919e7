"""The templates of `bundle init`: what each is for, and what its README says of it."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import UsageError
from ...runtime.service.options import nearest

FOLDER = "project"
"""Below `templates/`; files of all templates lie in it, those of one in a folder of its name."""
SHARED = ("README.md", "bundlefile.yaml", "gitignore", "bundleignore")
_PLACES = {"gitignore": ".gitignore", "bundleignore": ".bundleignore"}
"""Names that a wheel, or git here, would treat in a way of their own."""


@dataclass(frozen=True, kw_only=True)
class Template:
    name: str
    about: str
    """A sentence."""
    route: str
    """One of the service's."""
    body: str
    """JSON that it takes."""
    files: tuple[tuple[str, str], ...]
    """Its own files, and what each is."""
    packages: tuple[str, ...]
    """That training and serving need."""

    def paths(self) -> dict[str, str]:
        """Path in the new project to the template's name."""
        own = {name: f"{FOLDER}/{self.name}/{name}.j2" for name, _ in self.files}
        own["requirements.txt"] = f"{FOLDER}/{self.name}/requirements.txt.j2"
        return own | {_PLACES.get(name, name): f"{FOLDER}/{name}.j2" for name in SHARED}


_TRAIN = ("train.py", "makes the model, without a download")
_SERVICE = ("service.py", "the service: its routes, and the runner that they call")
_TEST = ("test_service.py", "calls the service as a plain class")

TEMPLATES = {
    template.name: template
    for template in (
        Template(
            name="sklearn",
            about="A scikit-learn pipeline that names flowers.",
            route="classify",
            body='{"flowers": [[5.1, 3.5, 1.4, 0.2]]}',
            files=(_TRAIN, _SERVICE, _TEST),
            packages=("scikit-learn",),
        ),
        Template(
            name="torch",
            about="A small torch network that tells points apart.",
            route="classify",
            body='{"points": [[0.0, 0.1], [1.5, -1.5]]}',
            files=(
                _TRAIN,
                ("network.py", "the network's class, which its saved weights belong to"),
                _SERVICE,
                _TEST,
            ),
            packages=("torch", "safetensors"),
        ),
        Template(
            name="xgboost",
            about="Boosted trees that tell malignant from benign cell nuclei.",
            route="diagnose",
            body=f'{{"nuclei": [{[round(0.1 * (i + 1), 1) for i in range(30)]}]}}',
            files=(_TRAIN, _SERVICE, _TEST),
            packages=("scikit-learn", "xgboost"),
        ),
        Template(
            name="onnx",
            about="An ONNX graph that tells on which side of the plane points lie.",
            route="classify",
            body='{"points": [[-2.0, 0.0], [2.0, 0.0]]}',
            files=(_TRAIN, _SERVICE, _TEST),
            packages=("onnx", "onnxruntime"),
        ),
        Template(
            name="transformers",
            about="A transformers pipeline that tells good from bad.",
            route="classify",
            body='{"texts": ["a lovely day", "a dull film"]}',
            files=(_TRAIN, _SERVICE, _TEST),
            packages=("transformers", "torch", "safetensors"),
        ),
        Template(
            name="custom",
            about="A class of your own in the workers: it finds measurements that are out of the usual.",
            route="unusual",
            body='{"rows": [[20.5, 1010.0], [45.0, 1010.0]]}',
            files=(_TRAIN, _SERVICE, _TEST),
            packages=("numpy",),
        ),
    )
}


def template(name: str) -> Template:
    """
    Raises:
        UsageError: there is none of that name; names the nearest.
    """
    if name not in TEMPLATES:
        raise UsageError(
            f"no template {name!r}{nearest(name, TEMPLATES)} (templates: {', '.join(TEMPLATES)})"
        )
    return TEMPLATES[name]
