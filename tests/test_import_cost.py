"""What must not be imported, checked by name; `benchmarks/import_time.py` has the seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

FRAMEWORKS = {"torch", "sklearn", "xgboost", "pandas", "PIL", "scipy", "pydantic", "safetensors"}
SERVER = {"litestar", "uvicorn", "uvloop", "httptools", "multipart", "jinja2", "prometheus_client", "asyncio"}
REST = {"IPython", "numpy", "cloudpickle", "rich", "jaxtyping", "watchfiles", "pathspec", "yaml", "msgspec"}
HEAVY = FRAMEWORKS | SERVER | REST
FOREIGN = {"torch", "sklearn", "xgboost", "pandas", "PIL", "litestar", "uvicorn", "rich", "click"}
"""What the public names must not bring along, not even on use."""


def imported_by(code: str, *args: str, **env: str) -> set[str]:
    """Top-level names in `sys.modules` after the code has run."""
    script = (
        "import sys, json, atexit\n"
        "atexit.register(lambda: print('\\n' + json.dumps(sorted({m.split('.')[0] for m in sys.modules}))))\n"
        f"sys.argv = {['bundle', *args]!r}\n{code}\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout.splitlines()[-1]))


def test_the_probe_sees_imports() -> None:
    assert "numpy" in imported_by("import numpy")


def test_import_tiffin_imports_nothing_else() -> None:
    assert imported_by("import tiffin") & (HEAVY | {"click"}) == set()


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["completion", "zsh"]])
def test_light_commands_stay_light(args: list[str]) -> None:
    assert imported_by("from tiffin.cli.main import main; main()", *args) & HEAVY == set()


def test_help_imports_no_command() -> None:
    probe = "import sys; from tiffin.cli.main import root; root.main(['--help'], standalone_mode=False)\n"
    check = "assert not [m for m in sys.modules if m.startswith('tiffin.cli.commands.')], sys.modules"
    imported_by(probe + check)


def test_completing_a_name_imports_no_command() -> None:
    found = imported_by(
        "from tiffin.cli.main import main; main()",
        _BUNDLE_COMPLETE="bash_complete",
        COMP_WORDS="bundle mod",
        COMP_CWORD="1",
    )
    assert found & HEAVY == set()


@pytest.mark.parametrize("name", ["service", "runner", "models", "build"])
def test_public_names_bring_no_framework_and_no_server(name: str) -> None:
    assert imported_by(f"import tiffin; tiffin.{name}") & FOREIGN == set()


def test_the_supervisor_is_small() -> None:
    """It stays for as long as the server does: neither numpy nor a web framework (memory below 60 MB)."""
    found = imported_by("import tiffin.runtime.supervisor.serve")
    assert found & (FOREIGN | {"numpy", "prometheus_client"}) == set()


def test_the_runtime_imports_neither_bundler_nor_cli() -> None:
    """An image holds the runtime only."""
    probe = (
        "import importlib, pkgutil, sys, tiffin.runtime as runtime\n"
        "for module in pkgutil.walk_packages(runtime.__path__, 'tiffin.runtime.'):\n"
        "    if '.frameworks.' not in module.name and not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "found = [m for m in sys.modules if m.startswith(('tiffin.bundler', 'tiffin.cli'))]\n"
        "assert not found, found"
    )
    imported_by(probe)
