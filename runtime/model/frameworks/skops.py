"""skops files: scikit-learn models without a pickle. As `sklearn` with `options={"format": "skops"}`."""

from __future__ import annotations

from typing import Any

from .sklearn import SklearnFramework


class SkopsFramework(SklearnFramework):
    """Asked for by name, or found for a file of that format."""

    name = "skops"
    extra = "skops"
    mapped: tuple[str, ...] = ()

    def matches(self, obj: Any) -> bool:  # noqa: ARG002 - estimators are pickled unless they are not to be
        return False

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        options.setdefault("format", "skops")
        return super().prepare(obj, options)
