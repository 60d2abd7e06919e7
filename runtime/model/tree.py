"""Trees of arrays, as JAX keeps parameters: names for the leaves, and the tree of the names for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ModelError


def take_apart(tree: Any) -> tuple[dict[str, Any], Any]:
    """
    Args:
        tree: dicts, lists, tuples and None, with arrays as leaves.

    Returns:
        (name to leaf, the tree with names in their place, as JSON holds it)

    Raises:
        ModelError: another kind of container; says which.
    """
    leaves: dict[str, Any] = {}
    return leaves, _lower(tree, "", leaves)


def _lower(node: Any, path: str, leaves: dict[str, Any]) -> Any:
    if node is None:
        return None
    if isinstance(node, Mapping):
        if odd := [key for key in node if not isinstance(key, str)]:
            raise ModelError(
                f"the parameters have the key {odd[0]!r} at {path or 'the top'}: keys must be texts"
            )
        return {"dict": {key: _lower(item, f"{path}/{key}".strip("/"), leaves) for key, item in node.items()}}
    if type(node) in (list, tuple):
        items = [_lower(item, f"{path}/{at}".strip("/"), leaves) for at, item in enumerate(node)]
        return {type(node).__name__: items}
    if not (hasattr(node, "shape") and hasattr(node, "dtype")):
        raise ModelError(
            f"the parameters hold a {type(node).__qualname__} at {path or 'the top'}: "
            "give dicts, lists and tuples of arrays"
        )
    name = path or "value"
    while name in leaves:  # "a/b" of {"a": {"b": …}} and of {"a/b": …}
        name += "'"
    leaves[name] = node
    return name


def put_together(tree: Any, leaves: Mapping[str, Any]) -> Any:
    """The tree again.

    Args:
        tree: the second part of what `take_apart` gave.
    """
    if tree is None:
        return None
    if isinstance(tree, str):
        return leaves[tree]
    ((kind, items),) = tree.items()
    if kind == "dict":
        return {key: put_together(item, leaves) for key, item in items.items()}
    made = [put_together(item, leaves) for item in items]
    return made if kind == "list" else tuple(made)
