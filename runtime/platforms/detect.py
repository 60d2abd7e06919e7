"""Which platform this is, and which port it asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...errors import ConfigError
from ..service.options import nearest
from . import (
    app_service,
    aws_lambda,
    azure_functions,
    azure_ml,
    cloud_run,
    container_apps,
    cortex,
    ecs,
    fly,
    heroku,
    kubernetes,
    sagemaker,
    vertex_ai,
)
from .platform import DEFAULT_PORT, Platform

PLATFORMS: tuple[Platform, ...] = (
    aws_lambda.PLATFORM,
    vertex_ai.PLATFORM,
    sagemaker.PLATFORM,
    azure_ml.PLATFORM,
    azure_functions.PLATFORM,
    app_service.PLATFORM,
    container_apps.PLATFORM,
    cloud_run.PLATFORM,
    cortex.PLATFORM,
    ecs.PLATFORM,
    fly.PLATFORM,
    heroku.PLATFORM,
    kubernetes.PLATFORM,
)
"""The first that fits is it: what runs on Kubernetes or ECS comes before these. Ports are looked up in the
same order."""

CHOSEN = "TIFFIN_PLATFORM"
"""Names the platform, or says `none`, where it cannot be told by its variables."""
NONE = "none"
PORT_VARIABLES = (
    "BUNDLE_PORT",
    *(variable for platform in PLATFORMS for variable in platform.port_variables),
    "PORT",
)
"""The first that is set says where to listen."""


class Detected(NamedTuple):
    platform: Platform
    sign: str
    """What gave it away, for the log."""


def by_name(name: str) -> Platform:
    """
    Raises:
        ConfigError: no such platform; names the nearest.
    """
    known = {platform.name: platform for platform in PLATFORMS}
    if name not in known:
        raise ConfigError(
            f"{CHOSEN}={name!r}: no such platform{nearest(name, known)} (known: {', '.join(known)}, {NONE})"
        )
    return known[name]


def detect(environ: Mapping[str, str], argument: str) -> Detected | None:
    """The platform that this container runs on; None on a plain machine.

    Args:
        argument: the role that the container was started with; empty when with none.

    Raises:
        ConfigError: `TIFFIN_PLATFORM` names none.
    """
    chosen = environ.get(CHOSEN, "")
    if chosen:
        return None if chosen == NONE else Detected(by_name(chosen), CHOSEN)
    for platform in PLATFORMS:
        if sign := platform.sign(environ, argument):
            return Detected(platform, sign)
    # SageMaker promises nothing but this argument, and elsewhere nobody needs it.
    return Detected(sagemaker.PLATFORM, "the argument serve") if argument == "serve" else None


def port(environ: Mapping[str, str], platform: Platform | None) -> int:
    """Where to listen.

    Raises:
        ConfigError: a variable that is no port; names it.
    """
    for name in PORT_VARIABLES:
        if text := environ.get(name, ""):
            return port_number(name, text)
    return DEFAULT_PORT if platform is None else platform.port


def port_number(name: str, text: str) -> int:
    """
    Args:
        name: of the variable or option, for the error.

    Raises:
        ConfigError: not a number from 0 to 65535.
    """
    if text.strip().isdecimal() and text.isascii() and int(text) <= 65535:
        return int(text)
    hint = ""
    if text.startswith("tcp://"):  # Kubernetes sets <SERVICE>_PORT for every service of the namespace
        hint = ". Kubernetes sets it for a service of that name: rename the service, or set BUNDLE_PORT"
    raise ConfigError(f"{name}={text!r} is no port: use a number from 0 to 65535{hint}")
