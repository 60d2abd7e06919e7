"""Writes the Dockerfile of a plan, from `templates/image/Dockerfile.j2` or a project's own that extends it.

Templates run in Jinja2's sandbox: a bundle from a stranger may carry one. Values come into the text only
through the filters of `quote.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ...errors import ConfigError
from ..epoch import EPOCH
from . import quote
from .plan import BUNDLE_ROOT, PORT, UV_IMAGE, ImagePlan

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

TEMPLATE = "Dockerfile.j2"
_OWN = "the project's template"
_FIRST = "# Makes the image of "

IGNORED = """\
# The context of the Dockerfile is the bundle: nothing beside its own files is sent to the engine.
*
!bundle.yaml
!README.md
!sbom.cdx.json
!signatures.json
!apis
!env
!models
!src
"""
"""`Dockerfile.dockerignore`, which BuildKit reads in place of `.dockerignore`."""


def render(plan: ImagePlan) -> str:
    """The text of the Dockerfile; equal plans give equal text.

    Raises:
        ConfigError: the project's template is wrong, or a value cannot stand in a Dockerfile.
    """
    environment = _environment(plan.template)
    try:
        return environment.get_template(_OWN if plan.template else TEMPLATE).render(
            plan=plan,
            base=plan.base,
            options=plan.options,
            root=BUNDLE_ROOT,
            port=PORT,
            epoch=EPOCH,
            uv_image=UV_IMAGE,
            copy=f"COPY {'--link ' if plan.link else ''}--chown=0:0",
        )
    except ConfigError:
        raise
    except Exception as error:
        if not plan.template:
            raise
        raise ConfigError(f"image.dockerfile_template: {_described(error)}") from error


@lru_cache(maxsize=2)
def _environment(own: str) -> SandboxedEnvironment:
    from jinja2 import ChoiceLoader, DictLoader, PackageLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    package = (__package__ or "").partition(".")[0]
    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([DictLoader({_OWN: own}), PackageLoader(package, "templates/image")]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {
        "word": quote.word,
        "optional": quote.optional,
        "text": quote.text,
        "variables": quote.variables,
        "comment": quote.comment,
    }
    return environment


def _described(error: Exception) -> str:
    line = getattr(error, "lineno", None)
    return f"{error}" + (f" (line {line})" if line else "")
