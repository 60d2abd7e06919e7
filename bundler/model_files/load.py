"""From a file that was recognised to a model that a framework can describe and save."""

from __future__ import annotations

import logging
import pickle
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

from ...errors import ModelError, TiffinError
from ...runtime.model.framework import Framework, framework, framework_for
from ...runtime.model.pickles import ALLOW_PICKLE, pickles_allowed
from ...runtime.model.settings_file import check_expansion
from ..framework_choice import chosen_framework
from .found import Found
from .recognise import known_model, recognise

log = logging.getLogger(__name__)

_TRUST = "loading it runs code from it, so its maker must be trusted"
_MOST_SHOWN = 5
"""Of what a pickled dict or list holds."""
_ON_MODULE = re.compile(r" on <module .*>$")
"""What pickle adds is the process's own module where the file says `__main__`."""
_DAMAGE = (EOFError, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error)


def open_file(path: Path, name: str | None, options: dict[str, Any]) -> tuple[Framework, Any]:
    """The framework of a file and what it is to save. A pickle is loaded, which runs code from it; the log
    says so before.

    Args:
        path: a file or folder in a library's own format.
        name: the framework, when it should not be told from the content.
        options: for the framework.

    Raises:
        ModelError: no model that can be used, a pickle where they are forbidden, or it cannot be loaded.
    """
    if name is not None:
        chosen = chosen_framework(name)
        return chosen, _prepared(chosen, path, options, f"what framework {name!r} reads")
    found = recognise(path)
    if found.weights_of and "class" in options:
        chosen = framework(found.weights_of)
        return chosen, _prepared(chosen, path, options, found.what)
    found = known_model(path)
    if found.pickle:
        _warn(found)
    if found.framework:
        chosen = framework(found.framework)
        return chosen, _prepared(chosen, path, options, found.what)
    obj = _unpickled(found)
    chosen = framework_for(obj)
    if chosen.name == "cloudpickle" and not callable(obj) and not hasattr(obj, "predict"):
        raise ModelError(f"{path.name} is a pickle of {_article(type(obj))}{_way_out(path, obj)}")
    return chosen, chosen.prepare(obj, options)


def _way_out(path: Path, obj: Any) -> str:
    """What to do with a pickle that is no model: perhaps it holds some."""
    items = obj.items() if isinstance(obj, dict) else enumerate(obj) if isinstance(obj, (list, tuple)) else ()
    inside = [(key, value) for key, value in items if callable(value) or hasattr(value, "predict")]
    if not inside:
        return ", which is no model: pickle the model itself"
    shown = ", ".join(f"[{key!r}] {type(value).__qualname__}" for key, value in inside[:_MOST_SHOWN])
    more = " …" if len(inside) > _MOST_SHOWN else ""
    return (
        f" that holds {len(inside)} {'model' if len(inside) == 1 else 'models'}, {shown}{more}: save one of "
        f"them, tiffin.models.save('name', joblib.load({path.name!r})[{inside[0][0]!r}]), or each under a "
        "name of its own and call them in a service"
    )


def pickle_warning(found: Found) -> str:
    """What must be said before it is loaded; empty when nothing must."""
    if not found.pickle:
        return ""
    return f"{found.path.name} is {found.what}: {_TRUST}"


def told_before(note: str) -> bool:
    """Whether it is a `pickle_warning`, which whoever saw the model being loaded has read."""
    return note.endswith(_TRUST)


def _warn(found: Found) -> None:
    if not pickles_allowed():
        raise ModelError(
            f"{found.path.name} is {found.what}, which runs code when it is loaded, and {ALLOW_PICKLE} "
            "forbids that here; save it in a format without code (skops, ONNX, UBJ, TorchScript), or allow "
            "pickles if you trust its maker"
        )
    log.warning("%s", pickle_warning(found))


def _prepared(chosen: Framework, path: Path, options: dict[str, Any], what: str) -> Any:
    check_expansion(path)
    try:
        return chosen.prepare(path, options)
    except TiffinError:
        raise
    except Exception as error:
        raise ModelError(
            f"{path.name} seems to be {what}, but {chosen.name} cannot load it: {_said(error)}"
        ) from error


def _unpickled(found: Found) -> Any:
    path = found.path
    try:
        if zipfile.is_zipfile(path):
            from ...runtime.model.torch_call import torch_or_error

            return torch_or_error().load(path, map_location="cpu", weights_only=False)
        return _load(path)
    except TiffinError:
        raise
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        raise ModelError(
            f"{path.name} is {found.what}, and loading it needs {missing or 'a module'} that is not here "
            f"({error}): install it, or run where its code can be imported"
        ) from error
    except AttributeError as error:
        why = _ON_MODULE.sub("", str(error))
        raise ModelError(
            f"{path.name} is {found.what}, and its code is not where it was ({why}): a class of a script or "
            "notebook goes into a module that can be imported, or save the model from there by "
            "tiffin.models.save"
        ) from error
    except Exception as error:
        again = "; it is cut or changed: fetch or save it again" if isinstance(error, _DAMAGE) else ""
        raise ModelError(
            f"{path.name} is {found.what} and cannot be loaded: {_said(error)}{again}"
        ) from error


def _load(path: Path) -> Any:
    """joblib reads its own files, compressed ones and plain pickles."""
    try:
        import joblib
    except ImportError:
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 - said to be a pickle, and allowed
    return joblib.load(path)


def _said(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else 'no reason given'}"


def _article(cls: type) -> str:
    name = cls.__qualname__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
