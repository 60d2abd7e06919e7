"""Writes the build context of a bento, Dockerfile included, as `bentoml containerize` makes it.

    python context.py PROJECT MODEL TARGET

PROJECT has `service.py`, MODEL is a joblib file; the store is `$BENTOML_HOME`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import bentoml
from bentoml._internal.container import construct_containerfile


def main(project: Path, model_file: Path, target: Path) -> None:
    with bentoml.models.create("forest") as model:
        shutil.copy(model_file, model.path_of("model.joblib"))
    bento = bentoml.build(service="service:Forest", build_ctx=str(project))
    with construct_containerfile(bento, enable_buildkit=True) as (context, dockerfile):
        shutil.copytree(context, target)
        text = Path(context, dockerfile).read_text()
    # It names a Dockerfile frontend in a registry; the engine's own knows all that is used here.
    lines = [line for line in text.splitlines() if not line.startswith("# syntax")]
    (target / "Dockerfile").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]), Path(sys.argv[3]))
