"""Estimators in skops files: no code of the file is run, and no type is made that is not known or listed.

https://skops.readthedocs.io/en/stable/persistence.html
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ...errors import MissingDependencyError, ModelError
from .pickles import ALLOW_PICKLE, pickles_allowed

TRUSTED_TYPES = "TIFFIN_TRUSTED_TYPES"
"""Types that whoever serves trusts, `package.module.Class`, separated by commas."""

# skops does not trust these, for a file with wrong numbers in them can crash the process; no code is run.
_WITHOUT_CODE = frozenset(
    {
        "numpy.dtype",
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neighbors._kd_tree.KDTree64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._ball_tree.BallTree64",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn._loss._loss.CyHalfSquaredError",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
        "xgboost.sklearn.XGBRanker",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
    }
)


def is_skops(path: Path) -> bool:
    """Whether a file is an archive with the list that skops begins with."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "schema.json" in archive.namelist()


def write(obj: Any, path: Path, trusted: Collection[str]) -> list[str]:
    """Writes a file that can be read again.

    Args:
        trusted: types that the user listed.

    Returns:
        The types in it that skops does not trust by itself: those listed, and trees.

    Raises:
        ModelError: there are others in it, or what skops does not know how to store.
    """
    sio = _skops()
    try:
        sio.dump(obj, path)
    except Exception as error:  # it raises what the estimators' parts raise
        raise ModelError(
            f"{type(obj).__qualname__} cannot be written as a skops file: {type(error).__name__}: {error}; "
            "leave out format='skops' for a pickle"
        ) from error
    return untrusted_types(path, trusted)


def untrusted_types(path: Path, trusted: Collection[str]) -> list[str]:
    """The types that loading needs beyond those that skops trusts by itself.

    Raises:
        ModelError: one is not in `trusted`, or only this process has it.
    """
    try:
        found = _skops().get_untrusted_types(file=path)
    except Exception as error:  # of a hostile file it raises anything
        raise ModelError(f"{path} cannot be read as a skops file: {error}") from error
    if own := [name for name in found if name.startswith("__main__.")]:
        raise ModelError(
            f"another process cannot import {own[0]}; move it into a module that can be imported"
        )
    unlisted = [name for name in found if name not in _WITHOUT_CODE and name not in trusted]
    if unlisted:
        raise ModelError(
            f"the model holds types that skops does not know: {', '.join(unlisted)}; when you trust them, "
            f"list them: options={{'format': 'skops', 'trusted': {unlisted!r}}}"
        )
    return sorted(found)


def read(path: Path, listed: Collection[str]) -> Any:
    """The estimator in a file.

    Args:
        listed: what `write` gave, out of a manifest: it came with the model, from whoever made that.

    Raises:
        ModelError: pickles are forbidden here, and nobody here has said that these types are trusted.
    """
    own = {name.strip() for name in os.environ.get(TRUSTED_TYPES, "").split(",")}
    if not pickles_allowed() and (beyond := sorted(set(listed) - _WITHOUT_CODE - own)):
        raise ModelError(
            f"{path} needs types that came listed with it ({', '.join(beyond)}), and {ALLOW_PICKLE} forbids "
            f"what skops does not know; if you trust them, {TRUSTED_TYPES}={','.join(beyond)}"
        )
    return _skops().load(path, trusted=list(listed))


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise MissingDependencyError("skops", "skops") from error
    return skops.io
