"""The target of a command in a notebook: one more kind, the classes of its cells."""

from __future__ import annotations

import click
from click.core import ParameterSource

from .session import Session


def meant(ctx: click.Context) -> str | type:
    """What the parameter `target` stands for.

    Raises:
        ServiceDefinitionError, UsageError: as `Services.meant`.
    """
    session: Session = ctx.obj
    given = ctx.get_parameter_source("target") is not ParameterSource.DEFAULT
    return session.services.meant(ctx.params["target"], given=given)
