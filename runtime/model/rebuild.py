"""Can a torch module be made again from its class, init arguments and weights? Then no pickle is needed.

Weights do not tell everything: a stride or an activation leaves no trace in them. So a module counts as
rebuilt only when a fresh one has the same sub-modules, the same plain attributes in each, and the same
names and shapes of weights.
"""

from __future__ import annotations

import weakref
from typing import Any

META, CPU = "meta", "cpu"


def place_to_build(module: Any, init: dict[str, Any], *, trust_init: bool) -> tuple[str, str]:
    """Where a fresh module can be built that only lacks the weights.

    Args:
        module: `torch.nn.Module`.
        init: keyword arguments of its class.
        trust_init: the user gave them; attributes that changed since then do not matter.

    Returns:
        `meta` (no memory is used for weights that are replaced anyway) or `cpu`, and an empty text; or an
        empty place, and the reason why it cannot be.
    """
    reason = ""
    for place in (META, CPU):
        try:
            fresh = build(type(module), init, place)
        except Exception as error:  # noqa: BLE001 - user code
            reason = f"{type(module).__qualname__}({_shown(init)}) fails: {type(error).__name__}: {error}"
            continue
        reason = _different_weights(module, fresh)
        if not reason and not (trust_init and place == CPU):
            reason = _different_buffers(module, fresh) or _different_attributes(module, fresh)
        if not reason:
            return place, ""
    return "", reason


def build(cls: type, init: dict[str, Any], place: str) -> Any:
    """A fresh module; the random numbers of the caller's training are left as they were."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.device(place):
        return cls(**init)


def _different_weights(module: Any, fresh: Any) -> str:
    ours, theirs = module.state_dict(), fresh.state_dict()
    if ours.keys() != theirs.keys():
        odd = min(ours.keys() ^ theirs.keys())
        return f"a fresh {type(module).__qualname__} has not the same weights ({odd!r})"
    for name, tensor in ours.items():
        other = theirs[name]
        if getattr(tensor, "shape", None) != getattr(other, "shape", None):
            return f"a fresh {type(module).__qualname__} has another shape of {name!r}"
    return ""


def _different_buffers(module: Any, fresh: Any) -> str:
    """Buffers that are not saved with the weights must come out of the constructor."""
    saved = module.state_dict().keys()
    theirs = dict(fresh.named_buffers())
    for name, tensor in module.named_buffers():
        if name not in saved and not _same_tensor(tensor, theirs.get(name)):
            return f"buffer {name!r} is not saved with the weights, and a fresh one differs"
    return ""


def _different_attributes(module: Any, fresh: Any) -> str:
    parts, others = dict(module.named_modules()), dict(fresh.named_modules())
    if parts.keys() != others.keys():
        return f"a fresh {type(module).__qualname__} has not the same sub-modules"
    names, fresh_names = _tensor_names(module), _tensor_names(fresh)
    for path, part in parts.items():
        other = others[path]
        if type(part) is not type(other):
            return (
                f"{path or 'it'} is a {type(part).__qualname__}, a fresh one is a {type(other).__qualname__}"
            )
        attribute = _odd_attribute(part, other, names, fresh_names)
        if attribute:
            return (
                f"a fresh {type(module).__qualname__} has another {'.'.join(filter(None, [path, attribute]))}"
            )
    return ""


def _odd_attribute(part: Any, other: Any, names: dict[int, str], fresh_names: dict[int, str]) -> str:
    import torch

    internal = vars(torch.nn.Module()).keys()
    ours: dict[str, Any] = vars(part)
    theirs: dict[str, Any] = vars(other)
    if any(len(ours[hooks]) != len(theirs[hooks]) for hooks in ("_forward_hooks", "_forward_pre_hooks")):
        return "hook"
    for name in ours.keys() | theirs.keys():
        if name in internal:
            continue
        if name not in ours or name not in theirs:
            return name
        if not _same(ours[name], theirs[name], names, fresh_names):
            return name
    return ""


def _same(  # noqa: PLR0911 - one rule a kind
    ours: Any, theirs: Any, names: dict[int, str], fresh_names: dict[int, str]
) -> bool:
    if ours is theirs:
        return True
    if isinstance(ours, weakref.ref) and isinstance(theirs, weakref.ref):
        return _same(ours(), theirs(), names, fresh_names)
    if type(ours) is not type(theirs):
        return False
    if id(ours) in names or id(theirs) in fresh_names:  # a second reference to a weight or sub-module
        return names.get(id(ours)) == fresh_names.get(id(theirs))
    if isinstance(ours, (list, tuple)):
        pairs = zip(ours, theirs, strict=False)
        return len(ours) == len(theirs) and all(_same(a, b, names, fresh_names) for a, b in pairs)
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(_same(ours[k], theirs[k], names, fresh_names) for k in ours)
    if hasattr(ours, "untyped_storage"):
        return _same_tensor(ours, theirs)
    try:
        return bool(ours == theirs)
    except Exception:  # noqa: BLE001 - user code; what cannot be compared is not known to be equal
        return False


def _same_tensor(ours: Any, theirs: Any) -> bool:
    import torch

    if theirs is None or ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return False
    return not theirs.is_meta and bool(torch.equal(ours.cpu(), theirs.cpu()))


def _tensor_names(module: Any) -> dict[int, str]:
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    named += [*module.named_modules(remove_duplicate=False)]
    return {id(item): name for name, item in reversed(named)}


def _shown(init: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in init.items())
