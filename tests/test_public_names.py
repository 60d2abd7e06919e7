"""The names that a user may rely on: this test fails when one comes or goes, so that it is meant."""

from __future__ import annotations

import types

import tiffin


def test_the_public_names() -> None:
    assert sorted(tiffin.__all__) == [
        "AsyncClient", "Client", "File", "Model", "RequestContext", "Tag", "__version__", "api", "batch",
        "build", "containerize", "errors", "models", "mount", "on_ready", "on_start", "on_stop", "prepack",
        "request_context", "runner", "service", "tasks",
    ]  # fmt: skip
    for name in tiffin.__all__:
        value = getattr(tiffin, name)
        assert callable(value) or isinstance(value, types.ModuleType | str), name


def test_the_names_of_the_model_store() -> None:
    for name in ("save", "get", "list", "delete", "export", "import_"):
        assert callable(getattr(tiffin.models, name)), name
