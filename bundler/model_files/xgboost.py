"""XGBoost: UBJ and JSON, both an object whose key `learner` comes first."""

from __future__ import annotations

import re

from .found import Found
from .head import Head

# `{`, then the length of a key in one of UBJSON's integer types (https://ubjson.org/type-reference/).
_UBJ_KEY = re.compile(
    rb"\{(?:L.{7}\x07|l.{3}\x07|I.\x07|[iU]\x07)(?:learner|version)\{?|\{(?:L.{7}\x06|[iU]\x06)Config",
    re.DOTALL,
)
_JSON_KEY = re.compile(rb'\s*\{\s*"(learner|version)"\s*:')


def look(head: Head) -> Found | None:
    if _UBJ_KEY.match(head.data) and b"learner" in head.data:
        return Found(path=head.path, what="an XGBoost model (UBJ)", framework="xgboost")
    if _JSON_KEY.match(head.data) and b'"gradient_booster"' in head.data:
        return Found(path=head.path, what="an XGBoost model (JSON)", framework="xgboost")
    if head.data[:4] == b"binf":
        return Found(
            path=head.path,
            what="an XGBoost model in the binary form that XGBoost 3 no longer reads",
            advice="load it with XGBoost before 3 and save it again: booster.save_model('model.ubj')",
        )
    return None
