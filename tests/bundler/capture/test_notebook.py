"""Bundles of notebooks in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cells import notebook, service
from projects import write

import tiffin
from tiffin.bundler.bundles import Bundle, verify
from tiffin.bundler.capture.notebook import read_notebook
from tiffin.bundler.capture.origin import capture_notebook, notebook_of
from tiffin.bundler.origin import origin_of
from tiffin.errors import BuildError, ConfigError, SecretFoundError, ServiceDefinitionError

LOUD = "print('training')\nraise SystemExit('a cell was executed')"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))


def build(target: Path | str) -> Bundle:
    return tiffin.build(target, lock=False)


def test_a_bundle_of_a_notebook(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    files = {
        "bundlefile.yaml": "labels: {team: maths}\nexclude: ['*.py']\n",
        "helpers.py": "import numpy\nfrom pkg.deep import WORD\n",
        "pkg/__init__.py": "",
        "pkg/deep.py": "from pathlib import Path\nWORD = (Path(__file__).parent / 'word.txt').read_text()\n",
        "pkg/word.txt": "deep",
        "lib/other.py": "ANSWER = 42\n",
        "data.csv": "1,2",
        "unused.py": "raise SystemExit",
    }
    write(folder, files)
    path = notebook(
        folder / "train.ipynb",
        "import sys\nsys.path.append('lib')\nimport tiffin\nimport helpers, unused\nfrom other import ANSWER",
        LOUD,
        service("return helpers.WORD + str(ANSWER)"),
    )
    made = build(path)
    assert made.tag.name == "echo"
    assert made.info.service.cls == "service:Echo"
    assert made.info.labels == {"team": "maths"}
    assert made.info.provenance["notebook"] == {"path": "train.ipynb", "cells": ["cell-1", "cell-3"]}
    assert made.info.options["notes"] == [
        "source from cells 1, 3 of train.ipynb; the rest is left out",
        "modules beside it go along: helpers.py, other.py, pkg/__init__.py, pkg/deep.py, pkg/word.txt",
    ]
    source = {file.path for file in made.info.files if file.path.startswith("src/")}
    assert source == {
        "src/service.py", "src/helpers.py", "src/other.py",
        "src/pkg/__init__.py", "src/pkg/deep.py", "src/pkg/word.txt",
    }  # fmt: skip
    assert verify(made.tag) == []
    with origin_of(path) as origin:
        assert origin.imports == {"numpy"}
        assert origin.settings == folder
        written = Path(origin.target.source)
        assert written.is_dir()
    assert not written.exists()


def test_errors_name_the_cell(tmp_path: Path) -> None:
    write(tmp_path, {"words.txt": "a b"})
    path = notebook(
        tmp_path / "n.ipynb",
        "import tiffin\n\n\nWORDS = open('words.txt').read().split()",
        service("return WORDS[0]"),
    )
    with pytest.raises(ServiceDefinitionError) as caught:
        build(path)
    words = str(caught.value)
    assert "(cell 1, line 4)" in words
    assert "words.txt lies beside the notebook" in words
    assert not (tmp_path / "home" / "bundles" / "echo").exists()


def test_errors_in_what_stands_for_a_statement_name_its_cell(tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "n.ipynb",
        "import tiffin\n\nmodel = tiffin.models.save('none', max)",
        service("return str(model.tag)"),
    )
    with pytest.raises(ServiceDefinitionError, match=r"\(cell 1, line 3\).*no model 'none'"):
        build(path)


def test_a_secret_in_a_cell(tmp_path: Path) -> None:
    path = notebook(tmp_path / "n.ipynb", "import tiffin\nK = 'AKIA" + "Q7" * 8 + "'", service("return K"))
    with pytest.raises(
        SecretFoundError,
        match=r"(?s)service\.py: AWS access key.*needs service\.py, which cannot be left out.*os\.environ"
        r".*allow_secrets.*service\.py is made of cell 1, line 2",
    ) as caught:
        build(path)
    assert "exclude" not in str(caught.value), "it cannot be"


def test_a_secret_in_a_module_beside_the_notebook(tmp_path: Path) -> None:
    key = "K = 'AKIA" + "Q7" * 8 + "'\n"
    write(tmp_path, {"keys.py": key, "pkg/__init__.py": "", "pkg/more.py": key, "pkg/words.txt": key})
    path = notebook(
        tmp_path / "n.ipynb", "import tiffin\nimport keys, pkg.more", service("return keys.K + pkg.more.K")
    )
    with pytest.raises(SecretFoundError) as caught:
        build(path)
    words = str(caught.value)
    assert "the service needs keys.py, pkg/more.py, which cannot be left out" in words
    assert 'exclude: ["/pkg/words.txt"]' in words
    assert 'allow_secrets: ["keys.py", "pkg/more.py", "pkg/words.txt"]' in words
    assert "made of" not in words


def test_which_class(tmp_path: Path) -> None:
    cells = ["import tiffin", service("return 'a'"), service("return 'b'", name="Other")]
    path = notebook(tmp_path / "n.ipynb", *cells)
    with pytest.raises(ServiceDefinitionError, match=r"name one: n.ipynb:Echo, n.ipynb:Other"):
        capture_notebook(path, "", tmp_path)
    assert capture_notebook(path, "Other", tmp_path).target.service == "service:Other"
    assert notebook_of(f"{path}:Other") == (path, "Other")
    assert notebook_of("service.py:Other") is None
    tagged = notebook(tmp_path / "n.ipynb", cells[0], (cells[1], ["Service"]), cells[2])
    assert capture_notebook(tagged, "", tmp_path).target.service == "service:Echo"


def test_a_module_of_the_same_name_as_ours(tmp_path: Path) -> None:
    write(tmp_path, {"service.py": "ANSWER = 42\n"})
    cells = ["import tiffin\nimport service", service("return str(service.ANSWER)")]
    path = notebook(tmp_path / "n.ipynb", *cells)
    (tmp_path / "out").mkdir()
    captured = capture_notebook(path, "", tmp_path / "out")
    assert captured.target.service == "notebook_service:Echo"
    assert (tmp_path / "out" / "service.py").read_text() == "ANSWER = 42\n"


def test_what_is_equal_is_not_written_again(tmp_path: Path) -> None:
    cells = ["import tiffin", "# a", service("return 'a'")]
    (tmp_path / "out").mkdir()
    capture_notebook(notebook(tmp_path / "n.ipynb", *cells), "", tmp_path / "out")
    before = (tmp_path / "out" / "service.py").stat().st_mtime_ns
    capture_notebook(notebook(tmp_path / "n.ipynb", cells[0], LOUD, cells[2]), "", tmp_path / "out")
    assert (tmp_path / "out" / "service.py").stat().st_mtime_ns == before


def test_files_of_a_package_that_stay_behind(tmp_path: Path) -> None:
    write(
        tmp_path, {"pkg/__init__.py": "", "pkg/.env": "A=1", "pkg/sub/.env": "A=1", "pkg/sub/words.txt": "x"}
    )
    write(
        tmp_path,
        {"bundlefile.yaml": 'exclude: ["/pkg/.env", "*.py"]', ".bundleignore": "sub/.env\n/pkg/sub/.e*"},
    )
    path = notebook(tmp_path / "n.ipynb", "import tiffin\nimport pkg", service("return pkg.__name__"))
    capture_notebook(path, "", tmp_path / "out")
    found = sorted(each.relative_to(tmp_path / "out").as_posix() for each in (tmp_path / "out").rglob("*.*"))
    assert found == ["pkg/__init__.py", "pkg/sub/words.txt", "service.py"]


def test_relative_imports_and_broken_modules(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    path = notebook(tmp_path / "n.ipynb", "import tiffin\nfrom .x import y", service("return y"))
    with pytest.raises(BuildError, match="cells and scripts are in no package"):
        capture_notebook(path, "", tmp_path / "out")
    write(tmp_path, {"broken.py": "def ("})
    path = notebook(tmp_path / "n.ipynb", "import tiffin\nimport broken", service("return str(broken)"))
    with pytest.raises(BuildError, match=r"broken\.py: not Python"):
        capture_notebook(path, "", tmp_path / "out")


BAD = {
    "no file": (None, "cannot read .*No such file"),
    "no JSON": ("{'a'", "is no notebook: .*save it again"),
    "no UTF-8": (b'{"cells": [{"source": "\xe9"}]}', "is no notebook: .*save it again"),
    "no sheet": ('{"worksheets": [{"cells": null}]}', "no class with"),
    "no cells": ("[]", "no list of cells"),
    "no list": ('{"cells": 1}', "no list of cells"),
    "another language": ('{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "a notebook in r"),
    "empty": ('{"cells": []}', "no class with"),
    "odd cells": ('{"cells": [1, {"cell_type": "code"}, {"cell_type": "code", "source": 3}]}', "no class"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_notebook(tmp_path: Path, case: str) -> None:
    text, words = BAD[case]
    if text is not None:
        (tmp_path / "n.ipynb").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises((ConfigError, ServiceDefinitionError), match=words):
        capture_notebook(tmp_path / "n.ipynb", "", tmp_path)


def test_older_formats(tmp_path: Path) -> None:
    code, words = {"cell_type": "code", "input": ["a = 1\n", "b"]}, {"cell_type": "markdown", "source": "x"}
    sheet = {"cells": [code, words]}
    (tmp_path / "old.ipynb").write_text(json.dumps({"worksheets": [sheet], "nbformat": 3, "metadata": {}}))
    (cell,) = read_notebook(tmp_path / "old.ipynb")
    assert (cell.source, cell.number, cell.id, cell.tags) == ("a = 1\nb", 1, "", frozenset())
