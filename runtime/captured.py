"""Objects of a notebook that have no source: pickles beside the module that was captured from it.

    captured/values.json     Python and distributions that they were made with
    captured/<name>.pkl      one object each

A pickle holds code for one version of Python and the insides of one version of a library, so it is read with
these only, and not at all where `TIFFIN_ALLOW_PICKLE` is 0.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ConfigError

FOLDER = "captured"
FACTS_FILE = "values.json"


class CapturedFacts(msgspec.Struct, kw_only=True):
    """What `values.json` says."""

    versions: dict[str, str]
    """Distribution, or `python`, to version."""
    services: dict[str, dict[str, Any]] = {}
    """Name to the arguments of `@tiffin.service`: what the decorator adds to a class is made anew."""


def value(module: str, name: str) -> Any:
    """Reads one object.

    Args:
        module: `__name__` of the module that it was a global of.
        name: of the global.

    Raises:
        ConfigError: another Python or another version of a library, or the pickle is not there.
        ModelError: `TIFFIN_ALLOW_PICKLE` forbids pickles.
    """
    from .model.pickles import check_allowed
    from .model.versions import PYTHON, differences

    folder = Path(str(sys.modules[module].__file__)).parent / FOLDER
    path = folder / f"{name}.pkl"
    try:
        facts = msgspec.json.decode((folder / FACTS_FILE).read_bytes(), type=CapturedFacts)
        data = path.read_bytes()
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{name} of {module} is not there: {path}: {error}") from error
    check_allowed(f"{name} of {module} ({path.name})")
    if other := differences(facts.versions):
        raise ConfigError(
            f"{name} of {module} was captured from a notebook by value, with {', '.join(other)}: "
            f"install what it was made with (Python {facts.versions.get(PYTHON)}), or build it again here"
        )
    found = pickle.loads(data)  # noqa: S301 - a bundle is verified before it is served
    if getattr(found, "__module__", None) == "__main__":
        found.__module__ = module
    return _as_service(found, facts.services[name]) if name in facts.services else found


def named(module: str, name: str) -> Any:
    """A global of a module: how a pickle says of a class or function that it has source."""
    return getattr(sys.modules[module], name)


def runner(target: Any, options: dict[str, Any]) -> Any:
    """A runner, from what `tiffin.runner` was told: how a pickle holds one."""
    from .service.runner import runner as declare

    return declare(target, **options)


def _as_service(cls: Any, options: dict[str, Any]) -> Any:
    """A class that was pickled has its attributes set one by one; Python names them only in a class body."""
    from .service.runner import Runner
    from .service.service import service

    for name, each in list(vars(cls).items()):
        if isinstance(each, Runner):
            each.__set_name__(cls, name)
    return service(**options)(cls)
